"""One user's session in all tabs: nothing goes in another one's name, what waits goes on."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, Route, expect

from local.demo.system import HOST_EMAIL
from tests.data import photo_of_six
from tests.gallery.conftest import Visit, empty_event, enter, sign_in
from tests.gallery.party import Party
from tests.gallery.uploading import (
    RENEWED,
    STORED,
    Held,
    choose,
    refuse,
    sent_as_their_session_ends,
    until,
    upload_page,
)

pytestmark = pytest.mark.system
Connection = psycopg.Connection[Any]
SESSION = "localStorage.getItem('memoria-session')"
# the second one is slow, until the test lets it go on
SLOW = """() => {
    const real = createImageBitmap
    let made = 0
    window.createImageBitmap = async file => {
      if (++made === 2) await new Promise(done => { window.goOn = done })
      return real(file)
    }
}"""
EXPIRED = {
    "statusCode": "403",
    "error": "Unauthorized",
    "message": '"exp" claim timestamp check failed',
}


@pytest.fixture
def second_event(database: Connection, users: dict[str, str]) -> Iterator[str]:
    yield from empty_event(database, users["host"])


def test_a_photo_made_smaller_while_another_user_signs_in_is_not_sent_in_their_name(
    host: Visit, event: str, friend: str, database: Connection, users: dict[str, str]
) -> None:
    host.expect("status of 40[01]")
    page = upload_page(host, event)
    page.evaluate(SLOW)
    sent_as_their_session_ends(page, one_jpg=photo_of_six(), two_jpg=photo_of_six() + b"2")
    until(page, lambda: page.evaluate("'goOn' in window"))
    enter(page, friend)
    page.get_by_text("Drop photos or folders here").wait_for()
    page.evaluate("goOn()")
    _require_only_their_own_is_stored(page, database, event, users["friend"])


def test_a_photo_whose_token_is_refused_is_not_sent_again_in_another_users_name(
    host: Visit, event: str, friend: str, database: Connection, users: dict[str, str]
) -> None:
    host.expect("status of 40[01]")
    page = upload_page(host, event)
    held = Held(page, STORED)
    choose(page, one_jpg=photo_of_six(), two_jpg=photo_of_six() + b"2")
    until(page, lambda: len(held.waiting) == 2)
    first, second = held.end()
    _end_session(page, first)
    enter(page, friend)
    page.get_by_text("Drop photos or folders here").wait_for()
    second.fulfill(status=401, body="{}")
    _require_only_their_own_is_stored(page, database, event, users["friend"])


def _require_only_their_own_is_stored(
    page: Page, database: Connection, event: str, user_id: str
) -> None:
    """After they added one: with its smaller copy it makes two files."""
    choose(page, theirs_jpg=photo_of_six() + b"3")
    page.get_by_text("1 photo is in").wait_for()
    theirs = "select count(*) from storage.objects where name like %s and owner_id = %s"
    assert database.execute(theirs, (f"{event}/%", user_id)).fetchone() == (2,)


def _end_session(page: Page, *requests: Route) -> None:
    refuse(page, RENEWED, 400)
    for request in requests:
        request.fulfill(status=401, body="{}")
    page.get_by_label("Password").wait_for()
    page.unroute(RENEWED)


def _sign_out_in_another_tab(visiting: Visit) -> Page:
    other = visiting.open("#/events")
    with other.expect_event("load"):
        other.get_by_role("button", name="Sign out").click()
    other.get_by_label("Password").wait_for()
    return other


def test_what_another_tab_does_shows_here_and_what_waits_goes_after_the_sign_in_there(
    host: Visit, event: str
) -> None:
    host.expect("status of 401")
    page = upload_page(host, event)
    held = Held(page, STORED)
    choose(page, one_jpg=photo_of_six())
    until(page, lambda: held.waiting)
    other = _sign_out_in_another_tab(host)
    page.get_by_role("heading", name="Welcome").wait_for()
    held.end()[0].fulfill(status=401, body="{}")
    enter(other)
    page.get_by_text("1 photo is in").wait_for()


def test_a_renewal_that_is_answered_after_a_sign_out_does_not_bring_the_session_back(
    host: Visit, event: str
) -> None:
    host.expect("status of 401")
    page = upload_page(host, event)
    renewal = _renewal_on_its_way(page)
    answer = renewal.fetch()
    other = _sign_out_in_another_tab(host)
    _answer(page, renewal, response=answer)
    other.reload()
    other.get_by_role("heading", name="Welcome").wait_for()
    assert other.evaluate(SESSION) is None
    page.get_by_role("heading", name="Welcome").wait_for()


def test_a_renewal_that_is_refused_late_does_not_end_a_newer_session(
    host: Visit, event: str
) -> None:
    host.expect("status of 40[01]")
    page = upload_page(host, event)
    renewal = _renewal_on_its_way(page)
    other = _sign_out_in_another_tab(host)
    enter(other)
    other.get_by_role("heading", name="Your events").wait_for()
    _answer(page, renewal, status=400, body='{"error_code": "refresh_token_not_found"}')
    page.get_by_role("heading", name="Your events").wait_for()
    other.reload()
    other.get_by_role("heading", name="Your events").wait_for()
    assert other.evaluate(SESSION)


def _renewal_on_its_way(page: Page) -> Route:
    held = Held(page, RENEWED)
    refuse(page, "**/rpc/my_events", 401, times=1)
    page.evaluate("location.hash = '#/events'")
    until(page, lambda: held.waiting)
    return held.end()[0]


def _answer(page: Page, request: Route, **answer: Any) -> None:
    with page.expect_response(request.request.url) as answered:
        request.fulfill(**answer)
    answered.value.finished()


def test_what_waits_for_two_events_goes_when_its_user_signs_in_on_another_page(
    host: Visit, event: str, second_event: str, database: Connection
) -> None:
    host.expect("status of 40[01]")
    page = upload_page(host, event)
    held = Held(page, STORED)
    choose(page, one_jpg=photo_of_six())
    until(page, lambda: len(held.waiting) == 1)
    page.get_by_text("one.jpg").wait_for()
    page.evaluate("event => { location.hash = `#/e/${event}/upload` }", second_event)
    page.get_by_text("one.jpg").wait_for(state="hidden")
    choose(page, two_jpg=photo_of_six())
    until(page, lambda: len(held.waiting) == 2)
    page.get_by_role("link", name="People").click()
    page.get_by_role("heading", name="People", level=1).wait_for()
    _end_session(page, *held.end())
    enter(page)
    page.get_by_role("heading", name="People", level=1).wait_for()
    there = "select count(distinct event_id) from memoria.media where event_id in (%s, %s)"
    until(page, lambda: database.execute(there, (event, second_event)).fetchone() == (2,))


def test_a_change_that_is_answered_late_leaves_what_is_typed_at_the_sign_in(
    host: Visit, event: str
) -> None:
    host.expect("status of 40[01]")
    page = sign_in(host, address=f"#/e/{event}/settings")
    change = Held(page, "**/rpc/name_event")
    page.get_by_label("Name", exact=True).fill("Party")
    page.get_by_role("button", name="Save").click()
    until(page, lambda: change.waiting)
    other = Held(page, "**/rpc/memoria_event_status")
    page.evaluate(
        "event => import('./session.js').then(({ client }) => "
        "{ client.eventStatus({ event_id: event }).catch(() => {}) })",
        event,
    )
    until(page, lambda: other.waiting)
    _end_session(page, *other.end())
    page.get_by_label("Email").fill(HOST_EMAIL)
    page.get_by_label("Password").fill("half")
    _answer(page, change.end()[0], status=200, body="null")
    page.wait_for_timeout(200)
    expect(page.locator("body")).not_to_have_attribute("aria-busy", "true")
    assert page.get_by_label("Email").input_value() == HOST_EMAIL
    assert page.get_by_label("Password").input_value() == "half"
    assert page.locator(".toast").count() == 0


def test_what_was_said_and_asked_of_somebody_is_gone_with_its_user(
    host: Visit, party: Party
) -> None:
    page = sign_in(host, address=f"#/e/{party.event_id}/people")
    page.get_by_label("Name of Ann").fill("Anna")
    page.get_by_label("Name of Ann").press("Enter")
    page.get_by_text("Named Anna").wait_for()
    for name in ("Anna", "Bob"):
        page.get_by_label(f"Choose {name}").check()
    page.get_by_role("button", name="Merge").click()
    page.get_by_role("dialog").get_by_text("Bob").wait_for()
    _sign_out_in_another_tab(host)
    page.get_by_role("heading", name="Welcome").wait_for()
    assert page.locator(".toast, dialog").count() == 0


def test_a_token_that_is_over_as_storage_says_it_is_renewed(host: Visit, event: str) -> None:
    host.expect("status of 400")
    page = upload_page(host, event)
    refuse(page, STORED, 400, json.dumps(EXPIRED), times=1)
    with page.expect_response(RENEWED) as renewed:
        choose(page, one_jpg=photo_of_six())
    assert renewed.value.ok
    page.get_by_text("1 photo is in").wait_for()


def test_after_a_sign_out_this_browser_holds_no_name_of_a_photo(host: Visit, event: str) -> None:
    host.expect("status of 403")
    kept = "JSON.stringify(localStorage)"
    page = upload_page(host, event)
    refuse(page, STORED, 403)
    choose(page, secret_jpg=photo_of_six())
    page.get_by_role("button", name="Try again: secret.jpg").wait_for()
    assert "secret.jpg" in page.evaluate(kept)
    page.evaluate("location.hash = '#/events'")
    with page.expect_event("load"):
        page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Password").wait_for()
    assert "secret" not in page.evaluate(kept)
