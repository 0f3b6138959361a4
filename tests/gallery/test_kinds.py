"""Kinds of files that Chromium does not show: that is said, and the original can be had."""

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pillow_heif
import psycopg
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from local.processes.stack import Stack
from tests.data import photo_of_six
from tests.gallery.conftest import Visit, sign_in
from tests.gallery.party import Party, painted
from tests.gallery.test_guest import choose as choose_selfie
from tests.gallery.uploading import choose, upload_page

pytestmark = pytest.mark.system
UNSHOWN = "This browser cannot show HEIC"


def heic() -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.open(io.BytesIO(painted(0)))).save(file, quality=60)
    return file.getvalue()


@pytest.fixture
def stored(stack: Stack, party: Party, database: psycopg.Connection[Any]) -> str:
    """The party's photos are HEIC now, without a preview: their path."""
    path = f"{party.event_id}/photo.heic"
    stack.client().storage.from_("photos").upload(path, heic())
    of_party = "update memoria.media set path = %s, preview_path = null where event_id = %s"
    database.execute(of_party, (path, party.event_id))
    return path


def test_what_chromium_does_not_show_is_said_and_the_original_can_be_had(
    host: Visit, stored: str, party: Party, look: Callable[[Page, str], None]
) -> None:
    page = sign_in(host, address=f"#/e/{party.event_id}/people")
    expect(page.locator(".cover .face .icon").first).to_be_visible()
    look(page, "unshown-people")
    page.locator(".cover").first.click()
    expect(page.locator(".tile").first).to_have_text(UNSHOWN)
    look(page, "unshown-person")
    page.locator(".tile").first.click()
    expect(page.locator(".frame")).to_contain_text(UNSHOWN)
    expect(page.locator(".panel .face .icon").first).to_be_visible()
    original = page.get_by_role("link", name="Download", exact=True)
    expect(original).to_have_attribute("href", re.compile(re.escape(stored)))
    look(page, "unshown-photo")


def test_a_guest_is_told_so_too(guest: Visit, stack: Stack) -> None:
    url = f"{stack.supabase_url}/photo.heic?token=x"
    guest.context.route(url, lambda route: route.fulfill(body=heic()))
    photo = {"media_id": "1", "url": url, "width": 40, "height": 30, "bbox": {}, "band": "sure"}
    match = {"match": "m1", "band": "sure", "photos": [photo]}
    found = {"search_id": "x", "outcome": "found", "matches": [match], "complete": True}
    whole = {"headers": {"Access-Control-Allow-Origin": "*"}, "body": json.dumps(found)}
    guest.context.route("**/search", lambda route: route.fulfill(**whole))  # type: ignore[arg-type]
    page = guest.open(f"guest.html#{43 * 'a'}")
    choose_selfie(page, photo_of_six())
    link = page.get_by_role("link", name="Open photo 1")
    expect(link).to_have_text(UNSHOWN)
    expect(link).to_have_attribute("href", url)


def twelve_bits() -> bytes:
    data = bytearray(painted(0))
    data[data.index(b"\xff\xc0") + 4] = 12
    return bytes(data)


def test_a_photo_of_a_kind_that_is_not_read_is_not_called_no_photo(host: Visit, event: str) -> None:
    page = upload_page(host, event)
    choose(page, film_jpg=twelve_bits(), old_jpg=b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100))
    page.get_by_text("2 could not be taken").wait_for(timeout=60_000)
    rows = page.get_by_role("listitem")
    for name, reason in (
        ("film.jpg", "the file is a JPEG of 12 bits, only 8 are read."),
        ("old.jpg", "the file is a JPEG 2000 image, which is not read."),
    ):
        row = rows.filter(has_text=name)
        expect(row).to_contain_text(f"This file cannot be read: {reason}")
        expect(row).not_to_contain_text("not a photo")
