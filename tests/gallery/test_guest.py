"""The guests' page: a selfie in, one's own photos out, and nothing else is within reach."""

import io
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from PIL import Image
from playwright.sync_api import Page, Route

from local.processes.stack import Stack
from tests.data import PORTRAITS, SMALL_PACK, needs, photo_of_six
from tests.gallery.conftest import Visit

pytestmark = [pytest.mark.system, needs(SMALL_PACK, PORTRAITS)]
EVENT, PHOTOS = "searched", 3
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Searched:
    """An event of six people in three photos, looked at by the real functions."""

    stack: Stack
    selfie: bytes  # of one of them

    def link(self, **options: object) -> str:
        """The token of a new link."""
        asked = {"p_event_id": EVENT, "p_options": options}
        made: Any = self.stack.client().rpc("memoria_create_search_link", asked).execute().data
        return str(made["token"])


@pytest.fixture(scope="module")
def searched(stack: Stack) -> Searched:
    client: Any = stack.client()
    for number in range(PHOTOS):
        path = f"{EVENT}/{number}.jpg"
        client.storage.from_("photos").upload(path, photo_of_six() + bytes([number]))
        photo = {"p_media_id": path, "p_event_id": EVENT, "p_bucket": "photos", "p_path": path}
        client.rpc("memoria_enqueue", photo).execute()
    deadline = time.monotonic() + 60
    while not client.rpc("memoria_event_status", {"p_event_id": EVENT}).execute().data["done"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    media = client.rpc("memoria_media", {"p_event_id": EVENT}).execute().data["media"]
    return Searched(stack, _selfie(media[0]["faces"][0]["bbox"]))


def _selfie(box: Json) -> bytes:
    """One of the six alone, cut out of the photo."""
    with Image.open(io.BytesIO(photo_of_six())) as photo:
        wide, high = photo.size
        middle = ((box["x"] + box["w"] / 2) * wide, (box["y"] + box["h"] / 2) * high)
        reach = max(box["w"] * wide, box["h"] * high) * 0.85
        cut = photo.crop(tuple(round(at + side * reach) for side in (-1, 1) for at in middle))
        file = io.BytesIO()
        cut.convert("RGB").resize((600, 600)).save(file, "JPEG", quality=92)
        return file.getvalue()


@pytest.fixture
def requests(guest: Visit) -> list[str]:
    """What the guest's browser asked for: the address and who sent it there."""
    asked: list[str] = []
    guest.context.on(
        "request", lambda one: asked.append(f"{one.url} {one.headers.get('referer', '')}")
    )
    return asked


def choose(page: Page, *pictures: bytes) -> None:
    files = [
        {"name": f"{number}.jpg", "mimeType": "image/jpeg", "buffer": data}
        for number, data in enumerate(pictures)
    ]
    page.locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type]


def heading(page: Page, name: str | re.Pattern[str]) -> None:
    page.get_by_role("heading", name=name, level=1).wait_for()


def test_the_camera_finds_the_guests_photos(
    guest: Visit,
    searched: Searched,
    film: Path,
    requests: list[str],
    look: Callable[[Page, str], None],
) -> None:
    film.write_bytes(searched.selfie * 3)
    token = searched.link(label="camera")
    page = guest.open(f"guest.html#{token}")
    assert token not in page.url
    assert page.evaluate("sessionStorage.getItem('memoria-token')") == token
    look(page, "guest-consent")
    page.get_by_role("button", name="take a selfie").click()
    page.get_by_text("Look straight ahead.").wait_for()
    look(page, "guest-camera")
    heading(page, f"Found {PHOTOS} photos of you")
    page.wait_for_function("[...document.images].every(image => image.naturalWidth > 0)")
    look(page, "guest-found")

    page.reload()  # what was found is found again without another selfie
    page.get_by_role("button", name="found before").click()
    heading(page, f"Found {PHOTOS} photos of you")
    page.get_by_role("button", name="Remove me").click()
    look(page, "guest-remove")
    page.get_by_role("button", name="Ask for it").click()
    page.get_by_text("Your host has been asked.").wait_for()
    asked: Any = searched.stack.client().rpc("memoria_searches", {"p_event_id": EVENT})
    audit = asked.execute().data["searches"]
    assert [one for one in audit if one["removal_requested_at"]], audit

    assert [line for line in requests if token in line] == []
    assert _reached(requests) == {
        (searched.stack.ports["pages"], "/gallery"),
        (searched.stack.ports["pages"], "/clients"),
        (searched.stack.ports["pages"], "/config.js"),
        (searched.stack.ports["process"], "/search"),
        (searched.stack.ports["gateway"], "/storage"),
    }
    logs = list(searched.stack.folder.rglob("*.log"))
    assert len(logs) >= 5
    for log in (*logs, searched.stack.postgres.data_dir / "log"):
        assert token not in log.read_text(errors="replace"), log


def _reached(requests: list[str]) -> set[tuple[int | None, str]]:
    """Ports, and the first part of paths."""
    urls = [urlsplit(line.split()[0]) for line in requests if line.startswith("http")]
    return {(url.port, "/" + url.path.split("/")[1]) for url in urls}


def test_of_several_faces_the_guest_taps_theirs(
    guest: Visit, searched: Searched, look: Callable[[Page, str], None]
) -> None:
    guest.expect("status of 422")
    page = guest.open(f"guest.html#{searched.link()}")
    choose(page, photo_of_six())
    heading(page, "Which face is yours?")
    page.wait_for_function("[...document.images].every(image => image.naturalWidth > 0)")
    look(page, "guest-several")
    faces = page.get_by_role("button", name="Face")
    assert faces.count() == 6
    faces.nth(2).click()
    heading(page, f"Found {PHOTOS} photos of you")


def test_a_picture_without_a_face_is_said_in_plain_words(
    guest: Visit, searched: Searched, look: Callable[[Page, str], None]
) -> None:
    guest.expect("status of 4(22|15)")
    page = guest.open(f"guest.html#{searched.link()}")
    choose(page, _blank())
    page.get_by_text("There is no face in this picture").wait_for()
    look(page, "guest-problem")
    page.get_by_role("button", name="Try another picture").click()
    choose(page, b"no picture at all")
    page.get_by_text("This picture cannot be read").wait_for()


def _blank() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (300, 300), "teal").save(file, "JPEG")
    return file.getvalue()


def test_too_many_searches_are_told_when_to_go_on(guest: Visit, searched: Searched) -> None:
    guest.expect("status of 4(22|29)")
    page = guest.open(f"guest.html#{searched.link(per_guest=1)}")
    choose(page, _blank())
    heading(page, "That did not work")
    page.get_by_role("button", name="Try another picture").click()
    choose(page, searched.selfie)
    page.get_by_text("You can search again in 10 minutes.").wait_for()


ENDINGS = {
    "expired": "update memoria.search_links set expires_at = now() where label = 'expired'",
    "revoked": "update memoria.search_links set revoked_at = now() where label = 'revoked'",
    "used up": "update memoria.search_links set searches = max_searches where label = 'used up'",
    "unknown": "delete from memoria.search_links where label = 'unknown'",
}


@pytest.mark.parametrize("kind", ENDINGS)
def test_a_link_that_has_ended_asks_for_no_selfie(
    guest: Visit, searched: Searched, kind: str, database: psycopg.Connection[Any],
    look: Callable[[Page, str], None],
) -> None:  # fmt: skip
    guest.expect("status of 4(04|29)")
    token = searched.link(label=kind)
    database.execute(ENDINGS[kind])
    page = guest.open(f"guest.html#{token}")
    page.get_by_text("This link is no longer good").wait_for()
    assert page.get_by_role("button").count() == 0
    assert page.locator("input[type=file]").count() == 0
    if kind == "unknown":
        look(page, "guest-ended")


def test_who_was_found_by_a_link_before_it_was_used_up_still_is(
    guest: Visit, searched: Searched
) -> None:
    guest.expect("status of 429")
    page = opened(guest, searched.link(max_searches=1))
    choose(page, searched.selfie)
    heading(page, f"Found {PHOTOS} photos of you")
    page.reload()
    heading(page, f"Found {PHOTOS} photos of you")


def test_a_link_that_ends_while_its_page_is_open_shows_nothing(
    guest: Visit, searched: Searched, database: psycopg.Connection[Any]
) -> None:
    guest.expect("status of 404")
    page = opened(guest, searched.link(label="revoked"))
    database.execute(ENDINGS["revoked"])
    choose(page, searched.selfie)
    page.get_by_text("This link is no longer good").wait_for()


def test_whether_a_link_is_good_is_asked_without_a_trace(
    guest: Visit, searched: Searched, database: psycopg.Connection[Any]
) -> None:
    def kept() -> Any:
        return database.execute(
            "select (select count(*) from memoria.searches), (select sum(searches) from"
            " memoria.search_links), (select count(*) from memoria.search_consents)"
        ).fetchone()

    token = searched.link()
    before = kept()
    page = opened(guest, token)
    page.get_by_role("button", name="take a selfie").wait_for()
    assert kept() == before
    assert page.evaluate("localStorage.length") == 0


def opened(guest: Visit, token: str) -> Page:
    """The page of a good link, after it was asked whether it is good."""
    page = guest.open("guest.html")
    with page.expect_response("**/search"):
        page.evaluate("token => { location.hash = token }", token)
    return page


@pytest.mark.parametrize("link", ["guest.html", "guest.html#cut-off", f"guest.html#{42 * 'a'}"])
def test_a_link_without_a_whole_token_asks_for_no_selfie(
    guest: Visit, searched: Searched, link: str
) -> None:
    page = guest.open(link)  # another tab knows no token
    page.get_by_text("open the link or scan the code").wait_for()
    assert page.locator("input[type=file]").count() == 0


def test_without_a_camera_pictures_can_be_chosen(
    visit: Callable[..., Visit], searched: Searched
) -> None:
    denied = visit(permissions=[])
    denied.expect("status of 403")
    page = denied.open(f"guest.html#{searched.link()}")
    page.get_by_role("button", name="take a selfie").click()
    heading(page, "The camera cannot be used")
    choose(page, searched.selfie, searched.selfie)
    heading(page, f"Found {PHOTOS} photos of you")


def test_whoever_was_not_found_yet_looks_again_with_the_same_picture(
    guest: Visit, searched: Searched
) -> None:
    guest.expect("status of 429")
    page = opened(guest, searched.link())
    nobody = {"search_id": "x", "outcome": "nobody", "matches": [], "complete": False}
    late = {"error": {"code": "too_many_searches", "message": "!", "retry_after_seconds": 90}}
    answers = [(200, nobody), (429, late)]  # while photos are looked at; then the real one

    def answer(route: Route) -> None:
        if not answers:
            route.continue_()
            return
        status, body = answers.pop(0)
        headers = {"Access-Control-Allow-Origin": "*"}
        route.fulfill(status=status, headers=headers, body=json.dumps(body))

    page.route("**/search", answer)
    choose(page, searched.selfie)
    heading(page, "No photos of you were found")
    assert page.evaluate("sessionStorage.getItem('memoria-found')") is None
    page.get_by_role("button", name="Look again with the same picture").click()
    page.get_by_text("You can search again in 2 minutes.").wait_for()
    page.get_by_role("button", name="Try again").click()
    heading(page, f"Found {PHOTOS} photos of you")


def test_somebody_who_is_in_no_photo_finds_nobody(
    guest: Visit, searched: Searched, look: Callable[[Page, str], None]
) -> None:
    page = guest.open(f"guest.html#{searched.link()}")
    choose(page, min(PORTRAITS.rglob("*.jpg")).read_bytes())
    heading(page, "No photos of you were found")
    look(page, "guest-nobody")
