"""One person's page: photos, cover, splitting, rejecting, hiding, forgetting, downloading."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.gallery.conftest import Visit, sign_in
from tests.gallery.party import PAINTED, Party, painted

pytestmark = pytest.mark.system

Look = Callable[[Page, str], None]
ANN, BOB, UNNAMED = 0, 1, 2


@pytest.fixture
def ann(host: Visit, party: Party) -> Page:
    """Ann's page."""
    return at(host, party, ANN)


def at(visiting: Visit, party: Party, who: int) -> Page:
    page = sign_in(visiting, address=f"#/e/{party.event_id}/person/{party.people[who]}")
    expect(page.locator(".photo-grid img.ready").first).to_be_visible()
    return page


def choose(page: Page, *photos: int) -> None:
    for number in photos:
        page.get_by_label(f"Choose photo {number}", exact=True).check()


def photos(page: Page, count: int) -> None:
    expect(page.locator(".photo-grid li")).to_have_count(count)


def test_their_photos_are_there_and_a_question_about_them(ann: Page, look: Look):
    photos(ann, 20)
    expect(ann.get_by_role("link", name="3 questions")).to_be_visible()
    expect(ann.locator("h1")).to_have_text("Ann")
    assert ann.title() == "Ann · Memoria"
    look(ann, "person")


def test_on_a_phone_all_that_can_be_done_is_in_view(ann: Page):
    ann.set_viewport_size({"width": 360, "height": 740})
    for name in ("Hide", "Merge with…", "Forget…"):
        place = ann.get_by_role("button", name=name).bounding_box()
        assert place
        assert place["x"] + place["width"] <= 360


def test_a_new_name_is_seen_on_the_people_page(ann: Page, party: Party):
    ann.get_by_label("Name of Ann").fill("Anna")
    ann.get_by_label("Name of Ann").press("Enter")
    expect(ann.locator("h1")).to_have_text("Anna")
    ann.get_by_role("link", name="People").click()
    expect(ann.get_by_label("Name of Anna")).to_be_visible()


def test_photos_of_someone_else_become_another_person_until_it_is_undone(ann: Page, look: Look):
    choose(ann, 1, 2, 3)
    look(ann, "person-chosen")
    ann.get_by_role("button", name="Someone else").click()
    photos(ann, 17)
    ann.get_by_role("button", name="Undo").click()
    photos(ann, 20)
    choose(ann, 4, 5)
    ann.get_by_role("button", name="Someone else").click()
    photos(ann, 18)
    ann.get_by_role("button", name="Show", exact=True).click()
    photos(ann, 2)


def test_a_face_that_is_not_theirs_leaves_them(ann: Page):
    choose(ann, 2)
    ann.get_by_role("button", name="Not Ann").click()
    photos(ann, 19)
    ann.reload()
    photos(ann, 19)
    choose(ann, 2)
    ann.get_by_role("button", name="Not Ann").click()
    photos(ann, 18)
    ann.get_by_role("button", name="Undo").click()
    photos(ann, 19)


def test_the_cover_is_the_one_that_was_chosen(ann: Page, party: Party):
    choose(ann, 19)  # by chance it may be the cover already; then the next one is not
    ann.get_by_role("button", name="Use as cover").click()
    expect(ann.locator("#toasts")).to_contain_text("This is the cover now")
    expect(ann.get_by_role("button", name="Use as cover")).to_have_count(0)
    before = ann.locator(".person-heading .face.ready").get_attribute("style")
    choose(ann, 20)
    ann.get_by_role("button", name="Use as cover").click()
    ann.wait_for_function(
        "before => { const face = document.querySelector('.person-heading .face.ready');"
        " return face && face.getAttribute('style') !== before }",
        arg=before,
    )
    ann.get_by_role("button", name="Undo").click()
    face = ann.locator(".person-heading .face.ready")
    expect(face).to_have_attribute("style", before or "")


def test_hidden_and_shown_again(ann: Page, look: Look):
    ann.get_by_role("button", name="Hide").click()
    expect(ann.get_by_role("button", name="Show again")).to_be_visible()
    ann.get_by_role("button", name="Undo").click()
    ann.get_by_role("button", name="Hide").click()
    expect(ann.get_by_role("button", name="Show again")).to_be_visible()
    look(ann, "person-hidden")


def test_merging_with_whoever_is_found_by_name(host: Visit, party: Party, look: Look):
    page = at(host, party, UNNAMED)
    page.get_by_role("button", name="Merge with…").click()
    page.get_by_label("Type a name").fill("bo")
    rows = page.get_by_role("dialog").get_by_role("listitem")
    expect(rows).to_have_count(1)
    look(page, "person-merge")
    rows.get_by_role("button").click()
    expect(page.locator("h1")).to_have_text("Bob")  # who has a name keeps it
    assert page.url.endswith(party.people[BOB])
    page.get_by_role("button", name="Undo").click()
    photos(page, 16)
    page.goto(page.url.replace(party.people[BOB], party.people[UNNAMED]))
    photos(page, 12)


def test_forgetting_says_what_it_means_and_asks_once(
    host: Visit, ann: Page, party: Party, look: Look
):
    host.expect("404")  # in the end
    ann.get_by_role("button", name="Forget…").click()
    expect(ann.get_by_role("dialog")).to_contain_text("This cannot be undone.")
    look(ann, "person-forget")
    ann.get_by_role("button", name="Cancel").click()
    photos(ann, 20)
    ann.get_by_role("button", name="Forget…").click()
    ann.get_by_role("button", name="Forget for good").click()
    expect(ann.get_by_role("heading", name="People")).to_be_visible()
    expect(ann.get_by_label("Name of Bob")).to_be_visible()
    expect(ann.get_by_label("Name of Ann")).to_have_count(0)
    ann.goto(ann.url.replace("people", f"person/{party.people[ANN]}"))
    expect(ann.get_by_role("heading", name="Nothing is here")).to_be_visible()


def test_all_originals_come_as_one_file(ann: Page, tmp_path: Path):
    with ann.expect_download() as download:
        ann.get_by_role("button", name="Download all").click()
    assert download.value.suggested_filename == "Ann.zip"
    download.value.save_as(tmp_path / "ann.zip")
    with zipfile.ZipFile(tmp_path / "ann.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"Ann {n}.jpg" for n in range(1, 21)]
        originals = {painted(number) for number in range(PAINTED)}
        assert {archive.read(name) for name in archive.namelist()} <= originals
    expect(ann.get_by_text("20 photos downloaded")).to_be_visible()


def test_a_download_goes_on_while_one_looks_at_other_pages(ann: Page):
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    ann.route(re.compile(r"/sign/photos/[^/]+/\d+\.jpg\?"), hold, times=1)  # an original
    with ann.expect_download() as download:
        ann.get_by_role("button", name="Download all").click()
        expect(ann.get_by_role("button", name="Downloading 1 of 20")).to_be_visible()
        ann.get_by_role("button", name="Hide").click()
        expect(ann.get_by_role("button", name="Show again")).to_be_visible()
        expect(ann.get_by_role("button", name="Downloading")).to_be_visible()
        ann.get_by_role("link", name="People").click()
        held[0].continue_()
    assert download.value.suggested_filename == "Ann.zip"
    expect(ann.get_by_text("20 photos downloaded")).to_be_visible()
