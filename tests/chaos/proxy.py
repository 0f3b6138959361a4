"""A loopback HTTP server in front of another one, which mistreats what passes as it is told."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import httpx

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
_CHUNKS = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one request."""

    name: str = "passed"
    delay: float = 0  # seconds before anything else
    answer: int | None = None  # answered here with this status, never forwarded
    copies: int = 1  # how often it is forwarded; 0: never, and the sender gets no answer
    second_delay: float = 0  # seconds between two copies
    lose_answer: bool = False  # forwarded, but the sender never hears of it
    drip: float = 0  # seconds over which the answer's body arrives


PASS = Fault()
Decide = Callable[[str, str], Fault]  # method and path -> what happens


class Proxy:
    """``with Proxy(upstream, decide) as proxy``: serves on ``proxy.url`` until the block ends."""

    def __init__(self, upstream: str, decide: Decide, port: int = 0) -> None:
        self.upstream = upstream
        self.decide = decide
        self.faults: Counter[str] = Counter()  # by name
        self.forwarded = 0
        self.in_flight = 0
        self.cut_off = 0  # forwarded, and the connection broke before the answer
        self._count = threading.Lock()
        unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._http = httpx.Client(limits=unlimited, timeout=300, trust_env=False)
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._http.close()

    def treat(self, request: "_Request") -> httpx.Response | None:
        """Do to a request what was decided -> the answer for its sender, or none."""
        fault = self.decide(request.method, request.path)
        with self._count:
            self.faults[fault.name] += 1
        time.sleep(fault.delay)
        if fault.answer is not None:
            return httpx.Response(fault.answer, json={"message": "injected"})
        if fault.copies == 0:
            return None
        if fault.copies == 2:
            threading.Timer(fault.second_delay, self._forward, [request]).start()
        answer = self._forward(request)
        if fault.lose_answer:
            return None
        if fault.drip:
            answer.extensions["drip"] = fault.drip
        return answer

    def _forward(self, request: "_Request") -> httpx.Response:
        with self._count:
            self.forwarded += 1
            self.in_flight += 1
        try:
            return self._http.request(
                request.method,
                self.upstream + request.path,
                headers=request.headers,
                content=request.body,
            )
        except httpx.ConnectError:
            return httpx.Response(503, json={"message": "no instance is up"})
        except (httpx.TransportError, RuntimeError):  # RuntimeError: our client was closed
            with self._count:
                self.cut_off += 1
            return httpx.Response(502, json={"message": "the instance went away"})
        finally:
            with self._count:
                self.in_flight -= 1


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender who left is nobody's trouble."""


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
            request = _Request(self.command, self.path, headers, self.rfile.read(length))
            answer = proxy.treat(request)
            if answer is not None:
                _send(self, answer)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler


def _send(handler: BaseHTTPRequestHandler, answer: httpx.Response) -> None:
    handler.send_response(answer.status_code)
    for name, value in answer.headers.items():
        if name not in _HOP_BY_HOP:
            handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(answer.content)))
    handler.end_headers()
    drip = answer.extensions.get("drip", 0)
    step = max(1, len(answer.content) // _CHUNKS) if drip else len(answer.content) or 1
    for start in range(0, len(answer.content), step):
        time.sleep(drip / _CHUNKS)
        handler.wfile.write(answer.content[start : start + step])
