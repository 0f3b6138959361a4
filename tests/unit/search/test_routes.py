"""Which pages may ask for a search from a browser, and how."""

import flask
import pytest

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
