"""Several events: made, named, shared, opened to guests, archived and deleted; and who may not."""

import re
import uuid
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.gallery.conftest import Visit, sign_in
from tests.gallery.party import Party

pytestmark = pytest.mark.system


def settings(page: Page, event: str) -> None:
    page.evaluate("event => { location.hash = `#/e/${event}/settings` }", event)
    page.get_by_role("heading", name="Settings").wait_for()


def test_an_event_is_made_and_found_by_its_name(
    page: Page, look: Callable[[Page, str], None]
) -> None:
    page.get_by_role("heading", name="Your events").wait_for()
    page.get_by_label("Name of a new event").fill("Ann & Bob <b>marry</b>")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("heading", name="Add photos").wait_for()
    event = page.url.split("/e/")[1].split("/")[0]
    page.get_by_role("link", name="People").click()
    page.get_by_role("heading", name="No people yet").wait_for()
    look(page, "people-empty")
    page.get_by_role("link", name="All events").click()
    page.get_by_role("link", name="Ann & Bob <b>marry</b>").wait_for()
    look(page, "events")

    settings(page, event)
    page.get_by_label("Name", exact=True).fill("The wedding")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved").wait_for()
    page.get_by_role("button", name="Delete this event").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Delete this event").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_role("heading", name="Your events").wait_for()
    assert page.get_by_text("The wedding").count() == 0


def test_who_has_no_account_is_told_what_to_do_and_shown_by_no_id(visit: Callable[..., Visit]):
    page = visit().open()
    page.get_by_role("button", name="Try it without an account").click()
    page.get_by_text("Try it: make an event and add photos").wait_for()
    page.get_by_label("Name of a new event").fill("Just looking")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("heading", name="Add photos").wait_for()
    settings(page, page.url.split("/e/")[1].split("/")[0])
    expect(page.locator(".rows li").first).to_have_text("Youmade the event")


def test_members_are_added_by_email_and_may_leave(
    page: Page,
    host: Visit,
    visit: Callable[..., Visit],
    party: Party,
    look: Callable[[Page, str], None],
) -> None:
    host.expect("status of 404")
    settings(page, party.event_id)
    page.get_by_label("Email of somebody").fill("nobody@example.com")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("Nobody has an account with this email.").wait_for()
    page.get_by_label("Email of somebody").fill("friend@example.com")
    page.get_by_label("May").select_option("contributor")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Remove friend@example.com").click()
    page.get_by_text("friend@example.com was removed").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Remove friend@example.com").wait_for()

    friend = sign_in(visit(), "friend@example.com", f"#/e/{party.event_id}/settings")
    friend.get_by_text("Hosts change the settings").wait_for()
    assert friend.get_by_text("Searches by guests").count() == 0
    look(friend, "settings-member")
    friend.get_by_role("button", name="Leave this event").click()
    friend.get_by_role("dialog").get_by_role("button", name="Leave this event").click()
    friend.get_by_role("heading", name="Your events").wait_for()
    assert friend.get_by_text(party.event_id).count() == 0


def test_who_made_the_event_stays_and_a_cohost_cannot_delete_it(
    page: Page, party: Party, database: psycopg.Connection[Any], users: dict[str, str]
) -> None:
    mine, theirs = {"e": party.event_id, "u": users["host"]}, (users["friend"], party.event_id)
    database.execute("update memoria.events set owner_id = %s where id = %s", theirs)
    database.execute(
        "insert into memoria.members (event_id, user_id, role) values (%(e)s, %(u)s, 'cohost')",
        mine,
    )
    settings(page, party.event_id)
    friend = page.get_by_role("listitem").filter(has_text="friend@example.com")
    friend.get_by_text("made the event").wait_for()
    assert friend.get_by_role("button").count() == 0
    page.get_by_role("button", name="Archive now").wait_for()
    assert page.get_by_role("button", name="Delete this event").count() == 0


def test_a_link_for_guests_is_shown_once_with_a_code_and_can_be_ended(
    page: Page, host: Visit, party: Party, look: Callable[[Page, str], None]
) -> None:
    host.context.grant_permissions(["clipboard-read", "clipboard-write"])
    settings(page, party.event_id)
    page.get_by_label("Where is it for?").fill("At the bar")
    page.get_by_label("Good for").select_option("1")
    page.get_by_role("button", name="Make a link").dblclick()  # makes one
    code = page.get_by_role("img", name="QR code of the link At the bar")
    code.wait_for()
    page.wait_for_function("document.querySelector('.qr').naturalWidth > 0")
    look(page, "settings-link")
    address = page.locator("dialog input").input_value()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/gallery/guest\.html#[\w.-]{40,}", address)
    assert _read(code.screenshot()) == address
    page.get_by_role("button", name="Copy the link").click()
    page.get_by_role("dialog").get_by_text("Copied").wait_for()  # what lies below is dimmed
    assert page.evaluate("navigator.clipboard.readText()") == address
    page.get_by_role("button", name="Close").first.click()

    page.get_by_role("button", name="End the link At the bar").click()
    page.get_by_role("dialog").get_by_role("button", name="End").click()
    page.get_by_text("ended").wait_for()
    assert address.split("#")[1] not in page.content()


def test_every_link_can_be_ended_however_many_there_are(
    page: Page, party: Party, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        "insert into memoria.search_links (event_id, token_hash, expires_at, max_searches,"
        " per_guest, people_per_guest) select %s, sha256(convert_to(%s::text || n, 'utf8')),"
        " now() + interval '1 day', 1, 1, 1 from generate_series(1, 101) as n",
        (party.event_id, party.event_id),
    )
    settings(page, party.event_id)
    expect(page.get_by_role("button", name="End the link")).to_have_count(101)


def _read(picture: bytes) -> str:
    """What the QR code says."""
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return str(cv2.QRCodeDetector().detectAndDecode(pixels)[0])


def test_the_audit_names_who_was_found_and_who_wants_to_be_forgotten(
    page: Page,
    party: Party,
    database: psycopg.Connection[Any],
    look: Callable[[Page, str], None],
) -> None:
    links = ((uuid.uuid4(), "At the bar", None), (uuid.uuid4(), None, None))
    signed_in = (uuid.uuid4(), None, uuid.uuid4())
    for link in (*links, signed_in):
        _search_by_link(database, party.event_id, *link)
    database.execute(
        "insert into memoria.searches (event_id, guest, consent, outcome, people,"
        " removal_requested_at) values (%(e)s, '\\x0123456789ab', '1', 'found', %(p)s::uuid[],"
        " now()), (%(e)s, '\\x0123456789ab', '1', 'no_face', '{}', null)",
        {"e": party.event_id, "p": [party.people[0]]},
    )
    settings(page, party.event_id)
    by = page.locator("td:nth-child(3)")
    service = "none: by the service"
    assert sorted(by.all_inner_texts()) == [
        "At the bar", service, service, "none: signed in", "without a name",
    ]  # fmt: skip
    row = page.get_by_role("row").filter(has_text="wants to be forgotten")
    row.wait_for()
    page.get_by_role("row").filter(has_text="no usable picture").wait_for()
    look(page, "settings")
    page.set_viewport_size({"width": 360, "height": 740})
    place = page.get_by_role("columnheader", name="Guest").bounding_box()
    assert place
    assert place["x"] + place["width"] <= 360
    row.get_by_role("link", name="person 1").click()
    page.get_by_label("Name of Ann").wait_for()


def _search_by_link(
    database: psycopg.Connection[Any], event_id: str, link_id: uuid.UUID, label: str | None,
    user_id: uuid.UUID | None,
) -> None:  # fmt: skip
    database.execute(
        "insert into memoria.search_links (id, event_id, token_hash, label, user_id, expires_at,"
        " max_searches, per_guest, people_per_guest) values (%s, %s, sha256(uuid_send(%s)), %s, %s,"
        " now() + interval '1 day', 1, 1, 1)",
        (link_id, event_id, link_id, label, user_id),
    )
    database.execute(
        "insert into memoria.searches (event_id, link_id, consent, outcome)"
        " values (%s, %s, '1', 'nobody')", (event_id, link_id),
    )  # fmt: skip


def test_an_event_is_archived_by_itself_at_once_and_opened_again(
    page: Page, party: Party, look: Callable[[Page, str], None]
) -> None:
    settings(page, party.event_id)
    page.get_by_label("Archive it by itself").select_option("30")
    page.get_by_text("It will be archived on").wait_for()
    page.get_by_label("Archive it by itself").select_option("")
    page.get_by_text("It will be archived on").wait_for(state="detached")
    page.get_by_role("button", name="Archive now").click()
    page.get_by_role("dialog").get_by_role("button", name="Archive now").click()
    page.get_by_text("This event is archived.").wait_for()
    assert page.get_by_role("button", name="Make a link").count() == 0
    look(page, "settings-archived")
    page.get_by_role("link", name="Add photos").click()
    page.get_by_text("Open it again in the settings").wait_for()
    settings(page, party.event_id)
    page.get_by_role("button", name="Open it again").click()
    page.get_by_role("button", name="Archive now").wait_for()


def test_a_choice_that_was_not_saved_is_not_shown(page: Page, host: Visit, party: Party) -> None:
    host.expect("ERR_FAILED")
    settings(page, party.event_id)
    page.route("**/rpc/memoria_set_retention", lambda route: route.abort())
    keep = page.get_by_label("Archive it by itself")
    keep.select_option("30")
    page.get_by_text("There is no connection. Try again.").wait_for()
    expect(keep).to_have_value("")


def test_a_stranger_sees_no_event_and_no_settings(
    stranger: Page, party: Party, look: Callable[[Page, str], None]
) -> None:
    stranger.get_by_text("You have no events yet.").wait_for()
    look(stranger, "events-none")
    stranger.evaluate("event => { location.hash = `#/e/${event}/settings` }", party.event_id)
    stranger.get_by_role("heading", name="Nothing is here").wait_for()
    assert stranger.get_by_text("@example.com").count() == 0
