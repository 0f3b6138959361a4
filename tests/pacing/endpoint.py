"""A function of a chosen duration: claims, takes its time, completes, answers; counts who is in."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, LiteralString, Self

import psycopg
from psycopg_pool import ConnectionPool

_CLAIM = "select public.memoria_claim(%s, %s, %s, %s)"
_COMPLETE = "select public.memoria_complete_media(%s, %s, %s)"
_RESULT = '{"model": "none", "width": 1, "height": 1, "processing_time_seconds": 0, "faces": []}'


class Endpoint:
    """Answers nudges on loopback; ``most`` is the largest number of requests at work at once.

    ``database_url`` is PostgREST's, as the role authenticator, with its limits and its pool of 10.
    """

    def __init__(self, database_url: str, seconds: float) -> None:
        self.seconds = seconds
        self.most = 0
        self.completed = 0
        self._at_work = 0
        self._lock = threading.Lock()
        self._pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            database_url, min_size=1, max_size=10, kwargs={"autocommit": True},
            configure=_become_service_role, open=False,
        )  # fmt: skip
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._pool.open(wait=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._pool.close()

    def work(self, record: dict[str, Any]) -> None:
        """What *process* does, without a photo."""
        ids = [record[name] for name in ("kind", "job_id", "event_id", "media_id")]
        claim = self._call(_CLAIM, *ids)
        if claim["outcome"] != "claimed":
            return
        with self._lock:
            self._at_work += 1
            self.most = max(self.most, self._at_work)
        time.sleep(self.seconds)
        with self._lock:
            self._at_work -= 1
        self._call(_COMPLETE, claim["job_id"], claim["token"], _RESULT)
        with self._lock:
            self.completed += 1

    def _call(self, statement: LiteralString, *values: str) -> Any:
        with self._pool.connection() as connection:
            ((answer,),) = connection.execute(statement, values).fetchall()
        return answer


def _become_service_role(connection: psycopg.Connection[Any]) -> None:
    connection.execute("set role service_role")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that timed out is nobody's trouble."""


def _handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            endpoint.work(json.loads(body)["record"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler
