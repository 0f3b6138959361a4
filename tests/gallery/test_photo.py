"""One photo: who is who, naming, drawing, no face, and the photos before and after."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.gallery.conftest import Visit, sign_in
from tests.gallery.party import Party

pytestmark = pytest.mark.system

Look = Callable[[Page, str], None]


@pytest.fixture
def photo(host: Visit, party: Party) -> Page:
    """The first photo, come to from Ann's page."""
    page = sign_in(host, address=f"#/e/{party.event_id}/person/{party.people[0]}")
    page.locator(".photo-grid .tile").first.click()
    expect(page.locator(".frame img.ready")).to_be_visible()
    return page


def people(page: Page) -> list[str]:
    return page.locator(".panel .row").all_inner_texts()


def row(page: Page, name: str) -> None:
    page.locator(".panel").get_by_role("button", name=name).first.click()


def test_who_is_who_and_boxes_on_demand(photo: Page, look: Look):
    assert sorted(people(photo)) == ["Ann", "Bob", "Who is this?", "Who is this?", "Who is this?"]
    expect(photo.get_by_role("heading", level=1)).to_have_text("Photo of Ann and Bob")
    look(photo, "photo")
    photo.get_by_role("button", name="Show faces").click()
    expect(photo.locator(".box-name").first).to_be_visible()
    look(photo, "photo-faces")


def test_the_next_and_the_one_before_by_key_and_button_and_back_is_the_person(photo: Page):
    def there(url: str | Callable[[str], bool]) -> str:
        photo.wait_for_url(url)
        expect(photo.locator("body[aria-busy]")).to_have_count(0)  # the address is there before it
        return photo.url

    first = photo.url
    photo.keyboard.press("ArrowRight")
    second = there(lambda url: url != first)
    expect(photo.get_by_role("button", name="Previous photo")).to_be_visible()
    photo.get_by_role("button", name="Next photo").click()
    there(lambda url: url not in (first, second))
    photo.keyboard.press("ArrowLeft")
    there(second)
    photo.get_by_role("button", name="Previous photo").click()
    there(first)
    expect(photo.get_by_role("button", name="Next photo")).to_be_visible()
    expect(photo.get_by_role("button", name="Previous photo")).to_have_count(0)
    photo.get_by_role("button", name="Back").click()
    expect(photo.locator("h1")).to_have_text("Ann")


def test_a_swipe_is_next(visit: Callable[..., Visit], users: dict[str, str], party: Party):
    phone = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = sign_in(phone, address=f"#/e/{party.event_id}/photo/{party.event_id}%2F3")
    expect(page.get_by_role("button", name="Next photo")).to_be_visible()
    touch = phone.context.new_cdp_session(page)
    for kind, x in (
        ("touchStart", 300),
        ("touchMove", 200),
        ("touchMove", 100),
        ("touchEnd", None),
    ):
        points = [] if x is None else [{"x": x, "y": 250}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.wait_for_url(lambda url: "%2F4" in url)
    page.get_by_role("button", name="Back").click()  # a deep link has nothing behind it
    expect(page.get_by_role("heading", name="People")).to_be_visible()


def test_a_name_for_who_has_none_is_the_persons(photo: Page, look: Look):
    photo.locator(".panel .row", has_text="Who is this?").first.click()
    look(photo, "photo-who")
    photo.get_by_label("Type a name").fill("Dora")
    photo.get_by_role("button", name="“Dora” is somebody new").click()
    expect(photo.locator(".panel .row", has_text="Dora")).to_be_visible()
    photo.get_by_role("button", name="Undo").click()
    expect(photo.locator(".panel .row", has_text="Dora")).to_have_count(0)
    expect(photo.locator(".panel .row")).to_have_count(5)


def test_enter_takes_nobody_who_was_not_typed(photo: Page):
    photo.locator(".panel .row", has_text="Who is this?").first.click()
    field = photo.get_by_label("Type a name")
    field.press("Enter")  # of nothing
    first = photo.get_by_role("dialog").get_by_role("listitem").first
    expect(first.get_by_role("button")).to_be_focused()
    field.fill("An")
    field.press("Enter")  # before the list knows of it; Ann begins like that, and is not meant
    panel = photo.locator(".panel")
    expect(panel.get_by_role("button", name="An: change", exact=True)).to_be_visible()


def test_a_face_goes_to_somebody_else_and_so_may_all_of_theirs(photo: Page, party: Party):
    photo.locator(".panel .row", has_text="Who is this?").nth(1).click()
    photo.get_by_label("Type a name").fill("cleo")
    photo.get_by_role("dialog").get_by_role("button", name="Cleo").click()
    expect(photo.locator(".panel .row", has_text="Cleo")).to_have_count(1)
    photo.get_by_role("button", name="Undo").click()
    expect(photo.locator(".panel .row", has_text="Cleo")).to_have_count(0)
    photo.locator(".panel .row", has_text="Who is this?").nth(1).click()
    photo.get_by_label("Type a name").fill("cleo")
    photo.get_by_role("dialog").get_by_role("button", name="Cleo").click()
    expect(photo.locator(".panel .row", has_text="Cleo")).to_have_count(1)
    photo.get_by_role("button", name="All ").click()
    expect(photo.locator("#toasts")).to_contain_text("They are one person now")


def test_not_ann_and_no_face(photo: Page):
    row(photo, "Ann: change")
    photo.get_by_role("button", name="Not Ann").click()
    expect(photo.locator(".panel .row", has_text="Ann")).to_have_count(0)
    photo.get_by_role("button", name="Undo").click()
    expect(photo.locator(".panel .row", has_text="Ann")).to_have_count(1)
    expect(photo.locator(".panel .row")).to_have_count(5)
    row(photo, "Bob: change")
    photo.get_by_role("button", name="This is not a face").click()
    expect(photo.locator(".panel .row")).to_have_count(4)
    photo.get_by_role("button", name="Undo").click()
    expect(photo.locator(".panel .row")).to_have_count(5)


def test_a_box_drawn_with_the_mouse_is_a_face(photo: Page, look: Look):
    photo.get_by_role("button", name="Add a face").click()
    look(photo, "photo-draw")
    frame = photo.locator(".frame").bounding_box()
    assert frame
    corner = (frame["x"] + frame["width"] * 0.4, frame["y"] + frame["height"] * 0.7)
    photo.mouse.move(*corner)
    photo.mouse.down()
    photo.mouse.move(corner[0] + 60, corner[1] + 40)
    photo.mouse.move(corner[0] + 90, corner[1] + 90)
    photo.mouse.up()
    photo.get_by_label("Type a name").fill("Ernie")
    photo.get_by_role("button", name="“Ernie” is somebody new").click()
    expect(photo.locator(".panel .row", has_text="Ernie")).to_be_visible()
    expect(photo.locator(".panel .row")).to_have_count(6)
    photo.get_by_role("button", name="Undo").click()
    expect(photo.locator(".panel .row")).to_have_count(5)


def test_a_box_drawn_by_keyboard_is_a_face(photo: Page):
    address = photo.url
    photo.get_by_role("button", name="Add a face").click()
    expect(photo.get_by_label("Box around the face")).to_be_focused()
    for key in ("ArrowDown",) * 12 + ("ArrowRight", "Shift+ArrowUp", "Shift+ArrowLeft", "Enter"):
        photo.keyboard.press(key)
    photo.get_by_label("Type a name").fill("bob")
    photo.get_by_role("dialog").get_by_role("button", name="Bob").click()
    expect(photo.locator(".panel .row", has_text="Bob")).to_have_count(2)
    assert photo.url == address  # arrows moved the box alone
