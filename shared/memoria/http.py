"""The rim of both services: route, authenticate, parse, run, answer.

An error that nothing below has handled is answered here: a known
one with its status, any other as 500.
"""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import flask

from memoria import __version__, log, metrics
from memoria.agreement import OURS
from memoria.auth import has_bearer
from memoria.contracts import Dispatch, Json, error_body, parse_body
from memoria.errors import InvalidRequest, MemoriaError, Unauthorized, UnknownRoute, WrongMethod
from memoria.request_body import authenticated_body, lower_case_headers

if TYPE_CHECKING:
    from pydantic import BaseModel

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
            raise UnknownRoute
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
        if self.secrets and not has_bearer(lower_case_headers(request), self.secrets):
            raise Unauthorized("a valid secret is required")
        return flask.Response(metrics.render(), mimetype="text/plain; version=0.0.4")


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
