"""Which pages may ask for a search from a browser, and how."""

from collections.abc import Callable

import flask
import pytest

from memoria.contracts import Json
from memoria.search.request import Seeker
from memoria.search.routes import SearchRoutes
from memoria.search.run import SearchPipeline

APP = "https://app.example"


def nobody_searches() -> SearchPipeline:
    raise AssertionError("a preflight searches nothing")


def preflight(origin: str, *origins: str) -> flask.Response:
    routes = SearchRoutes((), origins, nobody_searches)
    asked = flask.Flask("test").test_request_context(
        "/search", method="OPTIONS", headers={"Origin": origin}
    )
    with asked:
        response = routes.answer(flask.request)
        routes.finish(flask.request, response)
    return response


@pytest.mark.parametrize("origins", [(APP,), ("https://other.example", APP), ("*",)])
def test_a_listed_page_is_answered_by_its_own_name(origins: tuple[str, ...]) -> None:
    headers = preflight(APP, *origins).headers
    assert headers["Access-Control-Allow-Origin"] == APP
    assert headers["Access-Control-Allow-Methods"] == "POST"
    assert headers["Access-Control-Allow-Headers"] == (
        "Authorization, Content-Type, X-Memoria-Guest"
    )
    assert "Access-Control-Allow-Credentials" not in headers
    assert (headers["Vary"], headers["Cache-Control"]) == ("Origin", "no-store")


@pytest.mark.parametrize("origin", ["", "null", f"{APP}.evil.example", "https://app.exampl", "*"])
def test_no_other_page_is_answered(origin: str) -> None:
    assert "Access-Control-Allow-Origin" not in preflight(origin, APP).headers


class Noted(SearchPipeline):
    """Whoever asks again is taken down."""

    def __init__(self) -> None:
        """Without what a search needs."""

    def again(self, search_id: str, seeker: Seeker) -> Json:
        return {"search_id": search_id, "guest": seeker.guest, "event_id": seeker.event_id}


@pytest.mark.parametrize("sent", [str.encode, lambda text: text.encode("latin-1")])
def test_names_in_headers_are_those_of_the_form(sent: Callable[[str], bytes]) -> None:
    """UTF-8, or the latin-1 of a page that sends them as they are. WSGI reads all as latin-1."""
    headers = {"X-Memoria-Guest": "José", "X-Memoria-Event": "fête"}
    as_wsgi = {name: sent(text).decode("latin-1") for name, text in headers.items()}
    address = "/search/00000000-0000-0000-0000-000000000001"
    with flask.Flask("test").test_request_context(address, headers=as_wsgi):
        told = SearchRoutes((), (), Noted).answer(flask.request).get_json()
    assert (told["guest"], told["event_id"]) == ("José", "fête")
