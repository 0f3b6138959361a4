"""The real functions, in this process, under functions-framework."""

from collections.abc import Callable
from pathlib import Path

import functions_framework
import pytest
from flask.testing import FlaskClient

FUNCTIONS = Path(__file__).parents[2] / "functions"
SECRET = "a-secret-between-friends"
NOWHERE = "http://127.0.0.1:9"  # nothing listens there


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FlaskClient]:
    """``serve("process", DET_SIZE="320")``: a client of the function with that environment."""

    def start(name: str, **environ: str) -> FlaskClient:
        known = {
            "SUPABASE_URL": NOWHERE,
            "SUPABASE_SERVICE_ROLE_KEY": "key",
            "CALLBACK_URL": "off",
            "WEBHOOK_SECRET": SECRET,
        }
        for variable, value in (known | environ).items():
            monkeypatch.setenv(variable, value)
        app = functions_framework.create_app(name, str(FUNCTIONS / name / "main.py"))
        return app.test_client()

    return start
