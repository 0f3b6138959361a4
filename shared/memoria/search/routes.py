"""The routes of guests: /search, its answer again, and the wish to be taken out; and their CORS."""

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import flask

from memoria.auth import has_bearer
from memoria.contracts import Json, parse_object
from memoria.errors import InvalidRequest, Unauthorized, UnknownRoute, WrongMethod
from memoria.request_body import authenticated_body, body_reader, lower_case_headers
from memoria.search.form import MAX_PICTURE_BYTES, MOST_PICTURES, SelfieForm
from memoria.search.refusals import SelfieTooLarge, UnknownSearch
from memoria.search.request import BackendSearch, Seeker, checked_point, parse_id, parse_point
from memoria.search.run import SearchPipeline, fetched

PREFIX = "/search"
FIELDS_SECONDS = 10.0  # for who may still turn out to be nobody
PICTURES_SECONDS = 50.0
_MAX_BODY_BYTES = MOST_PICTURES * MAX_PICTURE_BYTES + (1 << 16)
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,100}")
_GUEST_HEADER = "X-Memoria-Guest"
_EVENT_HEADER = "X-Memoria-Event"
_HEADERS = f"Authorization, Content-Type, {_GUEST_HEADER}"


@dataclass(frozen=True, slots=True)
class SearchRoutes:
    """Guests and the app's backend ask here."""

    secrets: tuple[str, ...]  # of the backend; empty: whoever brings no token is the backend
    origins: tuple[str, ...]  # pages that may ask from a browser; ("*",): all
    pipeline: Callable[[], SearchPipeline]

    def takes(self, path: str) -> bool:
        """Whether a path is one of these routes, or looks like one."""
        return f"/{path.strip('/')}/".startswith(f"{PREFIX}/")

    def answer(self, request: flask.Request) -> flask.Response:
        """Answer a request to one of the routes. Raises Refused, Transient."""
        parts = request.path.strip("/").split("/")[1:]
        if parts == []:
            method, run = "POST", self._search
        elif len(parts) == 1 and _ID.fullmatch(parts[0]):
            method, run = "GET", self._again
        elif len(parts) == 2 and _ID.fullmatch(parts[0]) and parts[1] == "removal":
            method, run = "POST", self._removal
        else:
            raise UnknownRoute
        if request.method == "OPTIONS":
            return _preflight(method)
        if request.method != method:
            raise WrongMethod(f"use {method} here")
        if request.args:
            raise InvalidRequest("nothing of a search goes into the URL's query")
        return flask.jsonify(run(request))

    def finish(self, request: flask.Request, response: flask.Response) -> None:
        """The headers that every answer carries, errors too."""
        response.headers["Cache-Control"] = "no-store"
        response.headers.add("Vary", "Origin")
        origin = request.headers.get("Origin", "")
        if origin and ("*" in self.origins or origin in self.origins):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "Retry-After"
        body = response.get_json(silent=True) if response.status_code == 429 else None
        if body:
            response.headers["Retry-After"] = str(body["error"]["retry_after_seconds"])

    def _search(self, request: flask.Request) -> Json:
        token = _token(request)
        if request.mimetype == "application/json":
            if token is not None:
                raise InvalidRequest("a guest sends multipart/form-data")
            return self._search_by_url(request)
        if token is None:
            authenticated_headers(request, self.secrets)
        return self._search_by_form(request, token)

    def _search_by_form(self, request: flask.Request, token: str | None) -> Json:
        if (request.content_length or 0) > _MAX_BODY_BYTES:
            raise SelfieTooLarge(f"image: a picture is over {MAX_PICTURE_BYTES // 1_000_000} MB")
        with body_reader(request, FIELDS_SECONDS) as read:
            form = SelfieForm(request.headers.get("Content-Type", ""), read)
            fields = form.fields()
        seeker = _seeker(token, fields.get("event_id"), fields.get("guest"))
        point = parse_point(fields.get("point"))

        def pictures() -> list[bytes]:
            with body_reader(request, PICTURES_SECONDS):
                return form.pictures()

        return self.pipeline().run(seeker, fields.get("consent"), pictures, point)

    def _search_by_url(self, request: flask.Request) -> Json:
        asked = parse_object(authenticated_body(request, self.secrets), BackendSearch)
        seeker = Seeker(event_id=asked.event_id, guest=asked.guest)
        pipeline = self.pipeline()
        pictures = fetched(pipeline.fetch_url, asked.media_url)
        return pipeline.run(seeker, asked.consent, pictures, checked_point(asked.point))

    def _again(self, request: flask.Request) -> Json:
        return self.pipeline().again(_search_id(request), self._known(request))

    def _removal(self, request: flask.Request) -> Json:
        return self.pipeline().request_removal(_search_id(request), self._known(request))

    def _known(self, request: flask.Request) -> Seeker:
        """Who asks about a search that was made; the guest comes in a header."""
        token = _token(request)
        if token is None:
            authenticated_headers(request, self.secrets)
        return _seeker(token, _text_of(request, _EVENT_HEADER), _text_of(request, _GUEST_HEADER))


def authenticated_headers(request: flask.Request, secrets: tuple[str, ...]) -> None:
    """Accept a bearer secret alone: a form of pictures is not signed. Raises Unauthorized."""
    if secrets and not has_bearer(lower_case_headers(request), secrets):
        raise Unauthorized("a search token or a valid secret is required")


def _text_of(request: flask.Request, header: str) -> str | None:
    """UTF-8, as in the form; what is none is latin-1, as WSGI has it and browsers send it."""
    text = request.headers.get(header)
    with suppress(UnicodeError):
        return text and text.encode("latin-1").decode()
    return text


def _seeker(token: str | None, event_id: str | None, guest: str | None) -> Seeker:
    guest, event_id = parse_id("guest", guest), parse_id("event_id", event_id)
    if token is None:
        if event_id is None:
            raise InvalidRequest("event_id: is missing")
        return Seeker(event_id=event_id, guest=guest)
    if event_id is not None:
        raise InvalidRequest("event_id: the token names the event")
    return Seeker(token_hash=hashlib.sha256(token.encode()).hexdigest(), guest=guest)


def _token(request: flask.Request) -> str | None:
    """The guest's token; None where the request brings another kind of credential."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "search":
        return None
    if not _TOKEN.fullmatch(token):
        raise UnknownSearch("this search is not open")
    return token


def _search_id(request: flask.Request) -> str:
    return request.path.strip("/").split("/")[1]


def _preflight(method: str) -> flask.Response:
    response = flask.Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = method
    response.headers["Access-Control-Allow-Headers"] = _HEADERS
    response.headers["Access-Control-Max-Age"] = "600"
    return response
