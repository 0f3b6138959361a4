"""The real functions, in this process, under functions-framework."""

from collections.abc import Callable
from pathlib import Path

import functions_framework
import pytest
from flask import Response, request
from flask.testing import FlaskClient

from tests.answers import check_service

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
        app.after_request(_as_published)
        return app.test_client()

    return start


def _as_published(response: Response) -> Response:
    if response.is_json:
        check_service(request.method, request.path, response.status_code, response.get_data(True))
    return response
