"""What every page of the app shares: seeded events, sign-in, headers, and that strangers see nothing."""

from typing import Any

import psycopg
from playwright.sync_api import Page

from tests.gallery.conftest import Visit
from tests.gallery.party import Party


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

    assert count(party.event_id) == (7, 24 + sum((20, 16, 12, 9, 7, 5, 4)))
    assert count(crowd) == (1000, 20_000)


def test_the_host_is_signed_in(page: Page) -> None:
    assert page.title()
