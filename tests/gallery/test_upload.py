"""Photos in: sent with a smaller copy, looked at by real functions, or refused in plain words."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page

from local.demo.system import HOST_EMAIL, HOST_PASSWORD
from local.processes.stack import Stack
from tests.data import SMALL_PACK, photo_of_six
from tests.gallery.conftest import Visit, enter, sign_in
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
Rows = list[tuple[Any, ...]]


def large_photo(turned: bool = False) -> bytes:
    """The photo of six at 3,000 pixels; as a phone held upright stores it."""
    exif = Image.Exif()
    with Image.open(io.BytesIO(photo_of_six())) as small:
        photo = small.convert("RGB").resize((3000, 2000))
    if turned:
        photo, exif[0x0112] = photo.transpose(Image.Transpose.ROTATE_90), 6
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=90, exif=exif)
    return file.getvalue()


def test_photos_are_sent_with_a_smaller_copy_and_looked_at(
    host: Visit,
    stack: Stack,
    event: str,
    database: psycopg.Connection[Any],
    look: Callable[[Page, str], None],
) -> None:
    page = upload_page(host, event)
    page.get_by_text("Drop photos or folders here").wait_for()
    look(page, "upload-empty")
    choose(page, one_jpg=large_photo(), two_jpg=large_photo(turned=True))
    choose(page, a_photo_that_is_bad_jpg=b"\xff\xd8\xff")
    page.get_by_text("2 photos are in, 1 could not be taken").wait_for(timeout=60_000)
    for name in ("one.jpg", "two.jpg"):
        row = page.get_by_role("listitem").filter(has_text=name)
        found = r"[56] faces" if SMALL_PACK.exists() else "faces|nobody"
        assert re.search(found, row.inner_text()), row.inner_text()
    broken = page.get_by_role("listitem").filter(has_text="a.photo.that.is.bad.jpg")
    assert "The file holds no readable photo." in broken.inner_text()
    assert "Add the original." in broken.inner_text()
    look(page, "upload-done")
    _require_readable_on_a_phone(page, broken)

    media: Rows = database.execute(
        "select path, preview_path, status from memoria.media where event_id = %s", (event,)
    ).fetchall()
    assert sorted(status for *_, status in media) == ["completed", "completed", "failed"]
    for _, preview, status in media:
        assert (preview is None) == (status == "failed")  # no browser reads the broken one
        if preview:
            assert _stored(stack, preview).size in ((1024, 683), (1024, 682))

    broken.get_by_role("button", name="Take a.photo.that.is.bad.jpg away").click()
    page.get_by_text("2 photos are in See the people").wait_for()
    gone = "select count(*) from memoria.media where event_id = %s"
    until(page, lambda: database.execute(gone, (event,)).fetchone() == (2,))
    page.get_by_role("link", name="See the people").click()
    page.get_by_role("heading", name="People", level=1).wait_for()


def _require_readable_on_a_phone(page: Page, broken: Locator) -> None:
    size = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    for part in (".state", "small"):
        assert broken.locator(part).evaluate("part => part.offsetHeight") < 30, part  # one line
    assert broken.locator(".name").evaluate("name => name.scrollWidth <= name.clientWidth")
    assert size
    page.set_viewport_size(size)


def _stored(stack: Stack, path: str) -> Image.Image:
    """A picture in Storage."""
    return Image.open(io.BytesIO(stack.client().storage.from_("photos").download(path)))


def test_a_folder_is_taken_with_what_lies_in_it(host: Visit, event: str, tmp_path: Path) -> None:
    (tmp_path / "day" / "evening").mkdir(parents=True)
    (tmp_path / "day" / "one.jpg").write_bytes(photo_of_six())
    (tmp_path / "day" / "evening" / "two.jpg").write_bytes(photo_of_six() + b"2")
    (tmp_path / "day" / "notes.txt").write_text("no photo")
    page = upload_page(host, event)
    page.locator("input[webkitdirectory]").set_input_files(tmp_path / "day")
    page.get_by_text("1 file is no photo and left out: day/notes.txt").wait_for()
    page.get_by_text("2 photos are in").wait_for(timeout=60_000)
    page.get_by_text("day/evening/two.jpg").wait_for()

    drop(page, tmp_path / "day")
    page.get_by_text("4 photos are in").wait_for(timeout=60_000)


def drop(page: Page, path: Path) -> None:
    """As a hand lets go of a file or a folder of this machine over the page."""
    zone = page.locator(".drop").bounding_box()
    assert zone
    hand = page.context.new_cdp_session(page)
    dragged = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        at = {"type": kind, "x": zone["x"] + 20, "y": zone["y"] + 20}
        hand.send("Input.dispatchDragEvent", at | {"data": dragged})


def test_what_is_dropped_is_sent_and_goes_on_while_one_looks_elsewhere(
    host: Visit, event: str
) -> None:
    page = upload_page(host, event)
    dropped = page.evaluate_handle(
        """bytes => {
          const transfer = new DataTransfer()
          const photo = new File([new Uint8Array(bytes)], 'dropped.jpg', { type: 'image/jpeg' })
          transfer.items.add(photo)
          return transfer
        }""",
        list(photo_of_six()),
    )
    page.dispatch_event(".drop", "drop", {"dataTransfer": dropped})
    page.get_by_role("link", name="People").click()
    page.get_by_role("heading", name="People", level=1).wait_for()
    page.go_back()
    page.get_by_text("1 photo is in").wait_for(timeout=60_000)


def test_without_a_connection_it_says_so_and_tries_again(
    host: Visit, event: str, look: Callable[[Page, str], None]
) -> None:
    host.expect("ERR_INTERNET_DISCONNECTED")
    page = upload_page(host, event)
    page.get_by_text("Drop photos or folders here").wait_for()
    host.context.set_offline(True)
    choose(page, one_jpg=photo_of_six())
    page.get_by_text("There was no connection.").wait_for()
    page.get_by_text("You are offline").wait_for()
    page.evaluate("window.shifted = 0")  # by the words that one is offline
    look(page, "upload-offline")
    host.context.set_offline(False)
    page.get_by_role("button", name="Try again: one.jpg").click()
    page.get_by_text("1 photo is in").wait_for(timeout=60_000)


def test_what_was_stored_when_the_tab_ended_is_handed_over_by_the_next(
    host: Visit, event: str, database: psycopg.Connection[Any]
) -> None:
    host.expect("ERR_FAILED")
    page = upload_page(host, event)
    page.route("**/rpc/memoria_enqueue", lambda request: request.abort())
    choose(page, one_jpg=photo_of_six())
    page.get_by_text("There was no connection.").wait_for()
    page.unroute("**/rpc/memoria_enqueue")
    page.reload()
    page.get_by_text("1 photo is in").wait_for(timeout=60_000)
    media = "select preview_path is not null from memoria.media where event_id = %s"
    assert database.execute(media, (event,)).fetchall() == [(True,)]
    page.reload()
    page.get_by_text("Drop photos or folders here").wait_for()
    assert page.evaluate("localStorage.getItem('memoria-begun')") == "{}"


def test_a_session_that_ends_while_photos_are_sent_loses_none(host: Visit, event: str) -> None:
    """Nor what is typed at the sign-in while the other photos find that it is over."""
    host.expect("status of 40[01]")
    page = upload_page(host, event)
    held = Held(page, STORED)
    refuse(page, RENEWED, 400)
    choose(page, **{f"{number}_jpg": photo_of_six() + bytes([number]) for number in range(5)})
    until(page, lambda: len(held.waiting) == 3)
    held.waiting[0].fulfill(status=401, body="{}")
    page.get_by_label("Email").fill(HOST_EMAIL)
    for other in held.end()[1:]:
        other.fulfill(status=401, body="{}")
    page.get_by_label("Password").fill(HOST_PASSWORD)
    page.unroute(RENEWED)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_text("5 photos are in").wait_for()


def test_what_waits_for_its_user_is_not_sent_in_another_ones_name(
    host: Visit, event: str, friend: str, database: psycopg.Connection[Any]
) -> None:
    host.expect("status of 40[01]")
    page = upload_page(host, event)
    sent_as_their_session_ends(page, hosts_jpg=photo_of_six())
    enter(page, friend)
    page.get_by_text("Drop photos or folders here").wait_for()
    sent_as_their_session_ends(page, friends_jpg=photo_of_six())
    enter(page)
    page.get_by_text("1 photo is in").wait_for()
    assert page.get_by_role("listitem").inner_text().startswith("hosts.jpg")
    there = database.execute("select count(*) from memoria.media where event_id = %s", (event,))
    assert there.fetchone() == (1,)


def test_who_may_not_add_is_told(
    visit: Callable[..., Visit],
    stranger: Page,
    party: Party,
    database: psycopg.Connection[Any],
    users: dict[str, str],
) -> None:
    database.execute(
        "insert into memoria.members (event_id, user_id, role) values (%s, %s, 'viewer')",
        (party.event_id, users["friend"]),
    )
    viewer = sign_in(visit(), "friend@example.com", f"#/e/{party.event_id}/upload")
    viewer.get_by_text("and not add photos to it").wait_for()
    assert viewer.locator("input[type=file]").count() == 0
    stranger.evaluate("event => { location.hash = `#/e/${event}/upload` }", party.event_id)
    stranger.get_by_role("heading", name="Nothing is here").wait_for()
