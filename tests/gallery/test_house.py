"""What all pages share: signing in, that a stranger sees nothing; and that complaints are heard."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page

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


def test_barriers_are_seen(host: Visit, look: Callable[[Page, str], None]) -> None:
    page = host.open()
    page.get_by_role("button", name="Sign in").wait_for()
    look(page, "sign-in")
    page.evaluate("document.querySelector('label').replaceWith(document.querySelector('input'))")
    with pytest.raises(AssertionError, match="label"):
        look(page, "sign-in")
