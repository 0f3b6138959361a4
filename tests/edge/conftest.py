"""The callback's Edge Function, run by the real Deno, with an app to hand outcomes on to."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.edge.deno import HANDLER, EdgeFunction, run_edge_function
from tests.npm import installed

_DENO = "deno@2.9"

SECRET = "whsec_bWVtb3JpYSBtZW1vcmlhIG1lbW9yaWEgbWVtb3JpYQ=="
PREVIOUS_SECRET = "a plain secret, as it was before"


@pytest.fixture(scope="session")
def deno() -> Path:
    """The real Deno, from npm, installed once into the ignored ``.cache``."""
    return installed(_DENO)


@dataclass
class App:
    """What was handed on to the app, and how it answers from now on."""

    url: str = ""
    status: int = 200
    outcomes: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="session")
def app_server() -> Iterator[App]:
    state = App()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            if state.status < 300:
                state.outcomes.append(json.loads(raw))
            self.send_response(state.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
def app(app_server: App) -> App:
    app_server.status = 200
    app_server.outcomes.clear()
    return app_server


@pytest.fixture(scope="session")
def edge_environ(app_server: App) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "CALLBACK_SECRET": SECRET,
        "CALLBACK_SECRET_PREVIOUS": PREVIOUS_SECRET,
        "APP_URL": app_server.url,
    }


@pytest.fixture(scope="session")
def edge_function(deno: Path, edge_environ: dict[str, str]) -> Iterator[EdgeFunction]:
    """The function with a handler that an app might have."""
    with run_edge_function(deno, edge_environ, HANDLER) as function:
        yield function
