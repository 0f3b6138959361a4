"""The real functions: in this process under functions-framework, or a whole stack of them."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import functions_framework
import pytest
from flask import Response, request
from flask.testing import FlaskClient

from local.processes.options import ROOT
from local.processes.stack import Stack, StackOptions
from tests.answers import check_service
from tests.data import SMALL_PACK
from tests.functions.party import Party

FUNCTIONS = Path(__file__).parents[2] / "functions"
SECRET = "a-secret-between-friends"
NOWHERE = "http://127.0.0.1:9"  # nothing listens there
ORIGIN = "https://app.example"
WATCHED = Path(__file__).parent / "watched" / "sitecustomize.py"


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


@pytest.fixture(scope="package")
def writes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the functions of ``stack`` and their children open for writing: a line each."""
    folder = tmp_path_factory.mktemp("watched")
    shutil.copy(WATCHED, folder)
    return folder / "writes"


@pytest.fixture(scope="package")
def stack(writes: Path) -> Iterator[Stack]:
    """Database, storage and both functions, with search on and everything watched."""
    options = StackOptions(
        environ={
            "MODEL_DIR": str(SMALL_PACK),
            "SEARCH": "on",
            "SEARCH_ORIGINS": ORIGIN,
            "GOOGLE_CLOUD_PROJECT": "a-project",
            "PYTHONPATH": os.pathsep.join(map(str, (writes.parent, ROOT / "shared", ROOT))),
        },
        without=frozenset({"pg_net", "cron"}),
        settings={"quiet_period_seconds": 0, "callbacks": False},
    )
    with Stack(options) as stack:
        yield stack


@pytest.fixture(scope="package")
def party(stack: Stack) -> Party:
    """Three people in an event, and their selfies."""
    return Party(stack)
