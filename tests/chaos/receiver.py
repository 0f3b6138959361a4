"""The app's end of callbacks: verifies, remembers, and can go away for a while."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from memoria.auth import has_bearer, verify
from memoria.errors import Unauthorized


class CallbackReceiver:
    """Listens on one port whenever it is up; ``deliveries[job_id]`` are the bodies that came."""

    def __init__(self, port: int) -> None:
        self.secret = ""
        self.deliveries: dict[str, list[dict[str, Any]]] = {}
        self.refused: Counter[str] = Counter()
        self.failing = False  # answer 500
        self._port = port
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self.url = f"http://127.0.0.1:{port}/functions/v1/ml-callback"

    def up(self) -> None:
        """Listen."""
        self._server = _Server(("127.0.0.1", self._port), _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def down(self) -> None:
        """Close the port: whoever connects is refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def receive(self, headers: dict[str, str], body: bytes) -> int:
        """The status to answer with; what is accepted is remembered."""
        signature = {name: value for name, value in headers.items() if name != "authorization"}
        try:
            verify(signature, body, [self.secret])  # the bearer alone would satisfy verify
        except Unauthorized:
            self.refused["signature"] += 1
            return 401
        if not has_bearer(headers, [self.secret]):
            self.refused["bearer"] += 1
            return 401
        with self._lock:
            if self.failing:
                self.refused["failing"] += 1
                return 500
            self.deliveries.setdefault(headers["webhook-id"], []).append(json.loads(body))
        return 200


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _handler(receiver: CallbackReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receiver.receive(headers, body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler
