"""The rim of both services: route, authenticate, parse, run, answer.

The only module that knows Flask. An error that nothing below has handled is answered here: a known
one with its status, any other as 500.
"""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import flask
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException

from memoria import __version__, log, metrics
from memoria.agreement import OURS
from memoria.auth import has_bearer, presents_credentials, verify
from memoria.contracts import Dispatch, Json, error_body, parse_body
from memoria.errors import (
    BodyTooLarge,
    InvalidRequest,
    MemoriaError,
    Unauthorized,
    UnknownRoute,
    WrongMethod,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

MAX_BODY_BYTES = 1 << 20
BODY_SECONDS = 20.0
_CHUNK_BYTES = 1 << 16
_ACKNOWLEDGED = ("job_id", "status", "reason", "error", "faces_detected", "clusters_created")


class InternalError(MemoriaError):
    """A bug of ours: logged with its traceback, answered without."""


class MoreRoutes(Protocol):
    """Routes with rules of their own, beside those that every service has."""

    def takes(self, path: str) -> bool:
        """Whether a path is one of these."""
        ...

    def answer(self, request: flask.Request) -> flask.Response:
        """Answer a request to one of them, or raise."""
        ...

    def finish(self, request: flask.Request, response: flask.Response) -> None:
        """Add what every answer carries, errors too."""
        ...


@dataclass(frozen=True, slots=True)
class Service:
    """One HTTP function: its name is its route, ``/`` an alias."""

    name: str
    secrets: tuple[str, ...]  # empty: callers are not asked
    direct: "type[BaseModel]"  # the contract of a direct request
    kinds: frozenset[str]  # the kinds of dispatch that this service takes
    run: Callable[[Any], Json]
    ready: Callable[[], Json]  # builds what is built once, then tells about it
    health: Callable[[], Json]  # tells without building
    search: "MoreRoutes | None" = None  # where guests ask; None: there is no such route
    only_search: bool = False  # no work but searches

    @property
    def routes(self) -> "dict[str, tuple[str, Callable[[flask.Request], flask.Response]]]":
        """Path -> the method that it takes, and what answers."""
        paths = () if self.only_search else ("/", f"/{self.name}")
        return {
            **dict.fromkeys(paths, ("POST", self._work)),
            "/health": ("GET", self._health),
            "/ready": ("GET", self._ready),
            "/metrics": ("GET", self._metrics),
        }

    def __call__(self, request: flask.Request) -> flask.Response:
        """Answer any request on any path."""
        started = time.monotonic()
        with log.bound(**_trace(request)), log.timed():
            try:
                response = self._route(request)
            except MemoriaError as error:
                response = _refusal(error)
            except Exception:
                log.failure("unexpected")
                response = _refusal(InternalError("an internal error"))
            # functions-framework reads the rest of a body before it answers. From a caller without
            # a secret that could be a gigabyte, or one byte an hour: we leave it nothing to read.
            request.stream = io.BytesIO()
            if self.search and self.search.takes(request.path):
                self.search.finish(request, response)
            metrics.request(self.name, str(response.status_code))
            if request.method == "POST":
                seconds = round(time.monotonic() - started, 3)
                log.event("answered", status=response.status_code, seconds=seconds)
            return response

    def _route(self, request: flask.Request) -> flask.Response:
        path = "/" + request.path.strip("/")
        if self.search and self.search.takes(path):
            return self.search.answer(request)
        routes = self.routes
        if path not in routes:
            raise UnknownRoute("there is nothing at this path")
        method, answer = routes[path]
        if request.method != method and (request.method, method) != ("HEAD", "GET"):
            raise WrongMethod(f"use {method} here")
        return answer(request)

    def _work(self, request: flask.Request) -> flask.Response:
        work = parse_body(authenticated_body(request, self.secrets), self.direct)
        if not isinstance(work, Dispatch):
            return flask.jsonify(self.run(work))
        if work.kind not in self.kinds:
            raise InvalidRequest(f"record.kind: {self.name} does not take {work.kind!r}")
        return flask.jsonify(_acknowledgement(self.run(work)))

    def _health(self, _: flask.Request) -> flask.Response:
        stated = {"version": __version__, "agreement": OURS.json()}
        return flask.jsonify({"status": "healthy", **stated, **self.health()})

    def _ready(self, _: flask.Request) -> flask.Response:
        return flask.jsonify({"status": "ready", "version": __version__, **self.ready()})

    def _metrics(self, request: flask.Request) -> flask.Response:
        if self.secrets and not has_bearer(_headers(request), self.secrets):
            raise Unauthorized("a valid secret is required")
        return flask.Response(metrics.render(), mimetype="text/plain; version=0.0.4")


def authenticated_body(request: flask.Request, secrets: tuple[str, ...]) -> bytes:
    """The body of a request that presents one of the secrets or a signature made with one.

    Raises Unauthorized (before the body is read, where the headers tell), BodyTooLarge,
    InvalidRequest.
    """
    headers = _headers(request)
    if secrets and not presents_credentials(headers):
        raise Unauthorized("a valid secret or signature is required")
    if "webhook-signature" not in headers:
        verify(headers, b"", secrets)  # a wrong bearer costs us no body
    raw = _read_body(request)
    verify(headers, raw, secrets)
    return raw


def _headers(request: flask.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _read_body(request: flask.Request) -> bytes:
    """At most MAX_BODY_BYTES within BODY_SECONDS, whatever the length header says."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"the body is over {MAX_BODY_BYTES} bytes")
    body = bytearray()
    with body_reader(request, BODY_SECONDS) as read:
        while chunk := read(_CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise BodyTooLarge(f"the body is over {MAX_BODY_BYTES} bytes")
    return bytes(body)


@contextmanager
def body_reader(request: flask.Request, seconds: float) -> Iterator[Callable[[int], bytes]]:
    """``read(n)``: up to n bytes of the body, all of it within so many seconds.

    Raises InvalidRequest where it does not come in time.
    """
    # a timeout on the socket would be one per byte: a slow sender would never meet it
    guard = threading.Timer(seconds, _stop_reading, [request.environ.get("gunicorn.socket")])
    guard.start()
    try:
        yield request.stream.read
    except ParseException as exc:
        raise InvalidRequest("the body's chunks make no sense") from exc
    except (OSError, HTTPException) as exc:
        raise InvalidRequest("the body could not be read in time") from exc
    finally:
        guard.cancel()


def _stop_reading(connection: "socket.socket | None") -> None:
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RD)


def _acknowledgement(outcome: Json) -> Json:
    """What a webhook is told: under 300 bytes, as pg_net stores it where any role may read."""
    short = {name: outcome[name] for name in _ACKNOWLEDGED if name in outcome}
    if "error" in short:
        short["error"] = {"code": short["error"]["code"]}
    return short


def _refusal(error: MemoriaError) -> flask.Response:
    metrics.error(error.code)
    response = flask.jsonify(error_body(error))
    response.status_code = error.status
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _trace(request: flask.Request) -> dict[str, str]:
    trace = log.trace_of(request.headers.get("X-Cloud-Trace-Context"))
    return {"logging.googleapis.com/trace": trace} if trace else {}
