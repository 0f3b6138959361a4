"""The callback's Edge Function, run by the real Deno, with a Realtime endpoint to broadcast to."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.edge.deno import EdgeFunction, run_edge_function
from tests.npm import installed

_DENO = "deno@2.9"

SECRET = "whsec_bWVtb3JpYSBtZW1vcmlhIG1lbW9yaWEgbWVtb3JpYQ=="
PREVIOUS_SECRET = "a plain secret, as it was before"


@pytest.fixture(scope="session")
def deno() -> Path:
    """The real Deno, from npm, installed once into the ignored ``.cache``."""
    return installed(_DENO)


@dataclass
class Realtime:
    """What was broadcast, and how to answer from now on."""

    url: str = ""
    status: int = 202
    requests: list[dict[str, Any]] = field(default_factory=list)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [message for request in self.requests for message in request["body"]["messages"]]


@pytest.fixture(scope="session")
def realtime_server() -> Iterator[Realtime]:
    """A stand-in for Realtime's broadcast endpoint, which has no part that runs here."""
    state = Realtime()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if state.status < 300:
                state.requests.append(
                    {"path": self.path, "headers": headers, "body": json.loads(raw)}
                )
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
def realtime(realtime_server: Realtime) -> Realtime:
    realtime_server.status = 202
    realtime_server.requests.clear()
    return realtime_server


@pytest.fixture(scope="session")
def edge_function(deno: Path, realtime_server: Realtime) -> Iterator[EdgeFunction]:
    environ = {
        "PATH": os.environ["PATH"],
        "CALLBACK_SECRET": SECRET,
        "CALLBACK_SECRET_PREVIOUS": PREVIOUS_SECRET,
        "SUPABASE_URL": realtime_server.url,
        "SUPABASE_SECRET_KEYS": '{"default": "sb_secret_test"}',
    }
    with run_edge_function(deno, environ) as function:
        yield function
