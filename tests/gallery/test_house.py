"""What all pages share: signing in, that a stranger sees nothing; and that complaints are heard."""

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page

from local.demo.system import HOST_EMAIL, HOST_PASSWORD
from tests.gallery.conftest import Visit
from tests.gallery.party import PARTY, PHOTOS, Party

pytestmark = pytest.mark.system


def test_the_seeded_events_are_as_they_say(
    database: psycopg.Connection[Any], party: Party, crowd: str
) -> None:
    def count(event: str) -> tuple[int, int]:
        row = database.execute(
            "select (select count(*) from memoria.persons where event_id = %(e)s),"
            " (select count(*) from memoria.faces where event_id = %(e)s)", {"e": event},
        ).fetchone()  # fmt: skip
        assert row is not None
        return row[0], row[1]

    assert count(party.event_id) == (7, PHOTOS + sum(photos for _, photos in PARTY))
    assert count(crowd) == (1000, 20_000)


def test_the_host_sees_an_event_and_a_stranger_does_not(
    page: Page, stranger: Page, party: Party
) -> None:
    for tab in (page, stranger):
        tab.goto(f"{tab.url.split('#')[0]}#/e/{party.event_id}/people")
    page.get_by_label("Name of Ann").wait_for()
    stranger.get_by_role("heading", name="Nothing is here").wait_for()
    assert stranger.get_by_label("Name of Ann").count() == 0


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("console.error('by mistake')", "by mistake"),
        ("setTimeout(() => nothing.there, 0)", "nothing is not defined"),
        ("document.head.append(Object.assign(document.createElement('script'), {text: '1'}))",
         "Content Security Policy"),
    ],
)  # fmt: skip
def test_what_a_page_complains_of_is_heard(host: Visit, script: str, told: str) -> None:
    page = host.open()
    page.evaluate(script)
    page.wait_for_timeout(100)
    assert told in " ".join(host.troubles())
    host.wrong.clear()


PAGES = (  # address in an event, title, whose page Back leads to
    ("people", "People", None),
    ("review", "Review", None),
    ("upload", "Add photos", None),
    ("settings", "Settings", None),
    ("person/{people[0]}", "Ann", "People"),
    ("together?with={people[0]},{people[1]}", "Photos with Ann and Bob", "People"),
    ("photo/{event_id}%2F0", "Photo of Ann and Bob", "People"),
    ("history", "History", "Review"),
)


def test_every_page_has_an_address_and_a_way_back(page: Page, party: Party) -> None:
    def shows(title: str) -> None:
        page.get_by_role("heading", name=title, level=1, exact=True).wait_for(state="attached")

    start = page.url.split("#")[0]
    for address, title, above in PAGES:
        page.goto("about:blank")  # as from a mail: nothing of the app is there yet
        place = address.format(event_id=party.event_id, people=party.people)
        page.goto(f"{start}#/e/{party.event_id}/{place}")
        shows(title)
        page.get_by_role("link", name="All events").click()
        shows("Your events")
        page.go_back()
        shows(title)
        if above:
            page.get_by_role("button", name="Back").click()
            shows(above)


SPOIL = """
    (spoilt) => {
      const session = JSON.parse(localStorage.getItem('memoria-session'))
      for (const name of spoilt) session[name] = 'no longer good'
      localStorage.setItem('memoria-session', JSON.stringify(session))
    }
"""


def test_a_token_that_is_refused_is_renewed(page: Page, host: Visit, party: Party) -> None:
    host.expect("status of 401")
    page.goto(f"{page.url.split('#')[0]}#/e/{party.event_id}/people")
    page.get_by_label("Name of Ann").wait_for()
    page.evaluate(SPOIL, ["access_token"])
    page.reload()
    page.get_by_label("Name of Ann").wait_for()
    assert "no longer" not in page.evaluate("localStorage.getItem('memoria-session')")


def test_a_session_that_ended_is_followed_by_the_sign_in_and_then_the_page(
    page: Page, host: Visit, party: Party
) -> None:
    host.expect("status of 40[01]")
    page.goto(f"{page.url.split('#')[0]}#/e/{party.event_id}/people")
    page.get_by_label("Name of Ann").wait_for()
    page.evaluate(SPOIL, ["access_token", "refresh_token"])
    page.reload()
    page.get_by_label("Email").fill(HOST_EMAIL)
    page.get_by_label("Password").fill(HOST_PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Name of Ann").wait_for()


def test_an_email_that_is_to_be_confirmed_is_said(host: Visit) -> None:
    host.expect("status of 400")
    page = host.open()
    new = json.dumps({"id": "x", "email": "new@example.com", "confirmation_sent_at": "now"})
    page.route("**/auth/v1/signup", lambda route: route.fulfill(body=new))
    refused = json.dumps({"code": 400, "error_code": "email_not_confirmed", "msg": "Not yet"})
    page.route("**/auth/v1/token*", lambda route: route.fulfill(status=400, body=refused))
    page.get_by_label("Email").fill("new@example.com")
    page.get_by_label("Password").fill(HOST_PASSWORD)
    for name in ("Create an account", "Sign in"):
        page.get_by_role("button", name=name, exact=True).click()
        page.get_by_text("Open the link in the mail that was sent to you.").wait_for()
        page.evaluate("document.querySelector('.problem').textContent = ''")
    assert page.evaluate("localStorage.length") == 0


def test_the_link_of_a_mail_leads_to_the_events(page: Page) -> None:
    page.goto(f"{page.url.split('#')[0]}#access_token=a.b/c&type=signup")
    page.get_by_role("heading", name="Your events").wait_for()


def test_barriers_are_seen(host: Visit, look: Callable[[Page, str], None]) -> None:
    page = host.open()
    page.get_by_role("button", name="Sign in").wait_for()
    look(page, "sign-in")
    page.evaluate("document.querySelector('label').replaceWith(document.querySelector('input'))")
    with pytest.raises(AssertionError, match="label"):
        look(page, "sign-in")
