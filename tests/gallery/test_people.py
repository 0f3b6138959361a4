"""The people page: names, merging, search, hidden ones, and an event of a thousand people."""

import json
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from local.demo.system import HOST_EMAIL
from tests.gallery.conftest import STILL, Visit, sign_in
from tests.gallery.party import Party
from tests.gallery.uploading import Held, until

pytestmark = pytest.mark.system

Look = Callable[[Page, str], None]


@pytest.fixture
def people(host: Visit, party: Party) -> Page:
    """The people page of a party."""
    return at(host, party.event_id)


def at(visiting: Visit, event_id: str, email: str = HOST_EMAIL, more: str = "") -> Page:
    page = sign_in(visiting, email, f"#/e/{event_id}/people{more}")
    expect(page.locator(".people-grid li").first).not_to_be_empty()
    return page


def cards(page: Page) -> Any:
    return page.locator(".people-grid li")


def test_everybody_is_there_with_a_cover_and_a_count(people: Page, look: Look):
    expect(cards(people)).to_have_count(6)  # one is hidden
    expect(people.get_by_role("link", name="Ann, 20 faces")).to_be_visible()
    expect(people.locator(".face.ready")).to_have_count(6)
    expect(people.get_by_text("6 people · 24 photos")).to_be_visible()
    look(people, "people")


def test_two_faces_of_one_person_in_one_photo_are_not_told_as_two_photos(
    people: Page, party: Party, database: psycopg.Connection[Any]
):
    ann, bob = party.people[:2]
    database.execute(
        "update memoria.faces set person_id = %(ann)s, identity_id = %(ann)s where id = ("
        " select id from memoria.faces where event_id = %(event)s and person_id is null"
        " and media_id in (select media_id from memoria.faces where person_id = %(ann)s) limit 1)",
        {"ann": ann, "event": party.event_id},
    )
    database.execute("select memoria.refresh_people(array[%s]::uuid[])", (ann,))
    people.reload()
    people.get_by_role("link", name="Ann, 21 faces").click()
    expect(people.locator(".photo-grid li")).to_have_count(20)
    expect(people.locator(".person-heading")).to_contain_text("21 faces")
    people.get_by_role("button", name="Forget…").click()
    expect(people.get_by_role("dialog")).to_contain_text("knows of 21 faces is deleted")
    people.goto(people.url.replace(ann, bob))
    people.get_by_role("button", name="Merge with…").click()
    expect(people.get_by_role("dialog").get_by_role("button", name="Ann")).to_contain_text(
        "21 faces"
    )
    people.get_by_role("button", name="Cancel").click()
    people.get_by_role("link", name="Review").click()
    expect(people.locator(".trio").first).to_contain_text("Ann 21 faces")


def test_photos_that_could_not_be_taken_are_not_counted(
    host: Visit, party: Party, database: psycopg.Connection[Any]
):
    database.execute(
        "insert into memoria.media (id, event_id, bucket, path, status, error_code)"
        " values (gen_random_uuid()::text, %s, 'photos', 'bad.jpg', 'failed', 'unreadable_media')",
        (party.event_id,),
    )
    expect(at(host, party.event_id).get_by_text("6 people · 24 photos")).to_be_visible()


def test_a_name_typed_in_place_survives_a_reload_as_text(people: Page):
    name = "Dora <b>& co</b>"
    field = people.get_by_label("Name of this person").first
    field.fill(name)
    field.press("Enter")
    expect(people.locator("#toasts")).to_contain_text(f"Named {name}")
    expect(people.get_by_role("link", name=f"{name}, 12 faces")).to_be_visible()
    people.reload()
    expect(people.get_by_label(f"Name of {name}")).to_have_value(name)
    expect(people.locator("main b")).to_have_count(0)


def test_a_name_is_taken_back_from_the_toast(people: Page):
    people.get_by_label("Name of Ann").fill("Anna")
    people.get_by_label("Name of Ann").press("Enter")
    people.get_by_role("button", name="Undo").click()
    expect(people.get_by_label("Name of Ann")).to_have_value("Ann")


def test_what_was_said_stays_with_its_event(people: Page):
    people.get_by_label("Name of Ann").fill("Anna")
    people.get_by_label("Name of Ann").press("Enter")
    expect(people.get_by_role("button", name="Undo")).to_be_visible()
    people.get_by_role("link", name="Settings").click()
    people.get_by_role("heading", name="Settings").wait_for()
    expect(people.get_by_role("button", name="Undo")).to_be_visible()
    people.evaluate("location.hash = '#/events'")
    people.get_by_role("heading", name="Your events").wait_for()
    assert people.locator(".toast").count() == 0


@pytest.mark.parametrize("page", ["people", "review"])
def test_what_is_answered_in_another_event_is_not_said_there(host: Visit, party: Party, page: str):
    tab = sign_in(host, address=f"#/e/{party.event_id}/{page}")
    held = Held(tab, "**/rpc/memoria_rename_person", "**/rpc/memoria_answer_suggestion")
    if page == "people":
        tab.get_by_label("Name of Ann").fill("Anna")
        tab.get_by_label("Name of Ann").press("Enter")
    else:
        tab.get_by_role("button", name="Same person").click()
    until(tab, lambda: held.waiting)
    tab.evaluate("location.hash = '#/events'")
    tab.get_by_role("heading", name="Your events").wait_for()
    with tab.expect_response("**/rpc/memoria_*") as answered:
        held.let_go()
    answered.value.finished()
    tab.wait_for_timeout(200)
    assert tab.locator(".toast").count() == 0


@pytest.mark.parametrize("done", [0, 1])  # of two changes, before one fails
def test_what_failed_is_told_in_another_event_too(people: Page, host: Visit, done: int):
    host.expect("status of 500")
    held = Held(people, "**/rpc/memoria_hide_person")
    for name in ("Ann", "Bob"):
        people.get_by_label(f"Choose {name}").check()
    people.get_by_role("button", name="Hide").click()
    until(people, lambda: held.waiting)
    if done:
        held.waiting[0].continue_()
        until(people, lambda: held.waiting[1:])
    people.get_by_role("link", name="All events").click()
    people.get_by_role("heading", name="Your events").wait_for()
    held.end()[-1].fulfill(status=500, body="{}")
    told = people.locator(".toast")
    expect(told).to_contain_text("Something went wrong")
    expect(told.get_by_role("button", name="Try again")).to_have_count(0)  # only in its event
    people.go_back()
    expect(cards(people)).to_have_count(6 - done)
    expect(told).to_be_visible()


def test_a_question_about_a_long_name_stays_low_on_a_phone(people: Page):
    people.set_viewport_size({"width": 390, "height": 844})
    for field in people.get_by_label("Name of this person").all()[:2]:
        field.fill("Wolfeschlegelsteinhausen " * 7)
        field.press("Enter")
    expect(people.locator(".toast")).to_contain_text("There is another Wolfe")
    expect(people.locator(".toast")).to_contain_text("Are they one person?")
    place = people.locator(".toast").bounding_box()
    assert place
    assert place["height"] < 180


def test_an_equal_name_may_be_the_same_person(people: Page):
    field = people.get_by_label("Name of this person").first
    field.fill("ann")
    field.press("Enter")
    people.get_by_role("button", name="Yes, merge").click()
    expect(cards(people)).to_have_count(5)
    expect(people.get_by_role("link", name="ann, 32 faces")).to_be_visible()


def test_several_are_merged_into_the_named_one_and_undo_brings_them_back(people: Page, look: Look):
    for name in ("Choose Ann", "Choose this person"):
        people.get_by_label(name).first.check()
    expect(people.get_by_role("toolbar")).to_contain_text("2 chosen")
    look(people, "people-chosen")
    people.get_by_role("button", name="Merge").dblclick()  # the second takes no Undo away
    expect(people.get_by_role("link", name="Ann, 32 faces")).to_be_visible()
    expect(cards(people)).to_have_count(5)
    people.get_by_role("button", name="Undo").click()
    expect(people.get_by_role("link", name="Ann, 20 faces")).to_be_visible()
    expect(cards(people)).to_have_count(6)


def test_more_than_one_call_takes_are_merged_and_come_back_together(
    host: Visit, party: Party, database: psycopg.Connection[Any]
):
    database.execute(
        "insert into memoria.persons (id, event_id, name)"
        " select gen_random_uuid(), %s, 'Guest' from generate_series(1, 230)",
        (party.event_id,),
    )
    page = at(host, party.event_id, more="?name=guest")
    chosen = page.get_by_role("toolbar").get_by_text("230 chosen")
    for _ in range(60):  # only what is near the window is there
        page.evaluate("document.querySelectorAll('.tick:not(:checked)').forEach(t => t.click())")
        if chosen.is_visible():
            break
        page.mouse.wheel(0, 800)
        page.wait_for_timeout(100)
    page.get_by_role("button", name="Merge").click()
    expect(page.locator("#toasts")).to_contain_text("230 people are one now")
    expect(cards(page)).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#toasts")).to_contain_text("Taken back")
    there = "select count(*) from memoria.persons where name = 'Guest' and merged_into is null"
    assert database.execute(there).fetchone() == (230,)


def test_of_two_names_one_chooses_which_stays(people: Page, look: Look):
    for name in ("Ann", "Bob"):
        people.get_by_label(f"Choose {name}").check()
    people.get_by_role("button", name="Merge").click()
    look(people, "people-which-name")
    people.get_by_role("dialog").get_by_role("button", name="Bob").click()
    expect(people.get_by_role("link", name="Bob, 36 faces")).to_be_visible()


def test_photos_that_show_two_together(people: Page, look: Look):
    for name in ("Ann", "Bob"):
        people.get_by_label(f"Choose {name}").check()
    people.get_by_role("button", name="Together").click()
    expect(people.get_by_role("heading", name="Photos with Ann and Bob")).to_be_focused()
    expect(people.locator(".photo-grid img.ready").first).to_be_visible()
    look(people, "together")


def test_search_finds_by_the_beginning_of_a_name_and_keeps_it_in_the_address(people: Page):
    people.get_by_label("Search by name").fill("cle")
    expect(cards(people)).to_have_count(1)
    people.reload()
    expect(people.get_by_label("Name of Cleo")).to_be_visible()
    expect(cards(people)).to_have_count(1)
    people.get_by_label("Search by name").fill("nobody")
    expect(people.get_by_text("Nobody here is called “nobody”.")).to_be_visible()


def test_hiding_and_the_switch_that_shows_the_hidden(people: Page, look: Look):
    people.get_by_label("Choose Cleo").check()
    people.get_by_role("button", name="Hide").click()
    expect(cards(people)).to_have_count(5)
    people.get_by_role("button", name="Undo").click()
    expect(cards(people)).to_have_count(6)
    people.get_by_label("Choose Cleo").check()
    people.get_by_role("button", name="Hide").click()
    expect(cards(people)).to_have_count(5)
    people.get_by_role("switch", name="Show hidden people").check()
    expect(cards(people)).to_have_count(7)
    expect(people.get_by_text("Hidden", exact=True)).to_have_count(2)
    look(people, "people-hidden")


def test_all_of_it_by_keyboard(people: Page):
    people.get_by_label("Choose Bob").focus()
    people.keyboard.press("Space")
    expect(people.get_by_role("toolbar")).to_contain_text("1 chosen")
    people.keyboard.press("Escape")
    expect(people.get_by_role("toolbar")).to_be_hidden()
    people.keyboard.press("Tab")
    expect(people.get_by_label("Name of Bob")).to_be_focused()
    people.keyboard.type("Robert")
    people.keyboard.press("Escape")
    expect(people.get_by_label("Name of Bob")).to_have_value("Bob")


def test_without_a_connection_that_is_said_and_the_old_name_stays(
    host: Visit, party: Party, look: Look
):
    page = at(host, party.event_id)
    host.expect("ERR_INTERNET_DISCONNECTED")
    host.context.set_offline(True)
    expect(page.get_by_role("alert")).to_contain_text("You are offline")
    page.get_by_label("Name of Ann").fill("Anna")
    page.get_by_label("Name of Ann").press("Enter")
    expect(page.locator("#toasts")).to_contain_text("There is no connection.")
    expect(page.get_by_label("Name of Ann")).to_have_value("Ann")
    page.get_by_role("link", name="Review").click()  # to a page that needs one
    expect(page.get_by_role("heading", name="That did not work")).to_be_focused()
    expect(page.locator("main")).to_contain_text("There is no connection.")
    page.evaluate("window.shifted = 0")  # by the words that one is offline
    look(page, "offline")
    host.context.set_offline(False)
    expect(page.locator("#offline")).to_be_hidden()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Review", exact=True)).to_be_visible()


def test_a_change_that_failed_is_tried_again_with_what_was_typed(people: Page, host: Visit):
    host.expect("ERR_FAILED")
    people.route("**/rpc/memoria_rename_person", lambda route: route.abort())
    field = people.locator("input.name").first
    field.fill("Anna")
    field.press("Enter")
    again = people.get_by_role("button", name="Try again")
    again.wait_for()
    expect(field).to_have_value("Ann")
    people.unroute("**/rpc/memoria_rename_person")
    again.click()
    expect(people.locator("#toasts")).to_contain_text("Named Anna")
    expect(field).to_have_value("Anna")


def touching(visit: Callable[..., Visit], width: int = 360) -> Visit:
    size = {"width": width, "height": 740}
    return visit(viewport=size, has_touch=True, is_mobile=True)


def test_no_box_covers_a_face_until_one_wants_to_choose(
    people: Page, visit: Callable[..., Visit], users: dict[str, str], party: Party
):
    box = people.get_by_label("Choose Ann")
    expect(box).to_have_css("opacity", "0")
    box.focus()
    people.keyboard.press("Shift+Tab")
    people.keyboard.press("Tab")
    expect(box).to_have_css("opacity", "1")
    expect(people.get_by_role("button", name="Choose", exact=True)).to_have_count(0)
    phone = at(touching(visit), party.event_id)
    box = phone.get_by_label("Choose Ann")
    expect(box).to_have_css("opacity", "0")
    phone.get_by_role("button", name="Choose", exact=True).tap()
    expect(phone.get_by_role("toolbar")).to_contain_text("0 chosen")
    box.tap()
    expect(phone.get_by_role("toolbar")).to_contain_text("1 chosen")
    phone.get_by_role("button", name="Choose none").tap()
    expect(box).to_have_css("opacity", "0")


@pytest.mark.parametrize(
    ("faces", "why"), [(0, "No faces were found in these photos."), (2, "a person needs 3 photos")]
)
def test_why_nobody_is_there_is_said(
    host: Visit, party: Party, database: psycopg.Connection[Any], faces: int, why: str
):
    database.execute("delete from memoria.faces where event_id = %s and id not in (select id"
        " from memoria.faces where event_id = %s and person_id is null limit %s)",
        (party.event_id, party.event_id, faces))  # fmt: skip
    database.execute("delete from memoria.persons where event_id = %s", (party.event_id,))
    page = sign_in(host, address=f"#/e/{party.event_id}/people")
    expect(page.locator(".empty")).to_contain_text(why)


def test_together_without_anybody_says_what_is_missing(people: Page, look: Look):
    people.goto(people.url.replace("people", "together"))
    expect(people.get_by_role("heading", name="Whose photos?")).to_be_visible()
    look(people, "together-nobody")
    people.get_by_role("link", name="Choose people").click()
    expect(cards(people)).to_have_count(6)


def test_who_may_only_look_finds_nothing_to_change(
    visit: Callable[..., Visit], users: dict[str, str], party: Party, look: Look,
    database: psycopg.Connection[Any],
):  # fmt: skip
    database.execute(
        "insert into memoria.members (event_id, user_id, role) values (%s, %s, 'viewer')",
        (party.event_id, users["friend"]),
    )
    page = at(visit(), party.event_id, "friend@example.com")
    expect(page.get_by_role("link", name="Ann, 20 faces")).to_be_visible()
    expect(page.locator("input.name")).to_have_count(0)
    page.get_by_label("Choose Ann").check()
    expect(page.get_by_role("button", name="Hide")).to_have_count(0)
    look(page, "people-viewer")


def test_a_stranger_is_told_that_nothing_is_there(
    visit: Callable[..., Visit], users: dict[str, str], party: Party, look: Look
):
    stranger = visit()
    stranger.expect("404")
    page = sign_in(stranger, "who@example.com", f"#/e/{party.event_id}/people")
    expect(page.get_by_role("heading", name="Nothing is here")).to_be_visible()
    look(page, "nothing")


def longest_task_ms(trace: list[dict[str, Any]]) -> float:
    """Of the page's main thread, in time of its own: what else the machine does is left out."""
    mains = {
        (event["pid"], event["tid"])
        for event in trace
        if event.get("name") == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        event["tdur"] / 1000
        for event in trace
        if "tdur" in event
        and event["name"].endswith("RunTask")
        and (event["pid"], event["tid"]) in mains
    ]
    assert len(tasks) > 100
    return float(max(tasks))


def scroll_to(page: Page, grid: str, count: int) -> None:
    """Until so many are in the list."""
    deadline = time.monotonic() + 60
    while page.locator(f"{grid} li").count() < count:
        assert time.monotonic() < deadline
        page.mouse.wheel(0, 20_000)
        page.wait_for_timeout(100)


@pytest.mark.alone
def test_a_thousand_people_are_light(host: Visit, crowd: str, browser: Browser):
    """The first screen, then the whole list from top to bottom."""
    loaded: list[int] = []
    page = sign_in(host, address="#/events")
    browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
    page.on("response", lambda answer: loaded.append(int(answer.headers.get("content-length", 0))))
    page.goto(page.url.split("#")[0] + f"#/e/{crowd}/people")
    expect(page.locator(".face.ready").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert sum(loaded) < 20_000_000
    nodes = "document.querySelectorAll('*').length"
    assert page.evaluate(nodes) < 3000
    scroll_to(page, ".people-grid", 300)
    assert longest_task_ms(json.loads(browser.stop_tracing())["traceEvents"]) < 200
    scroll_to(page, ".people-grid", 1000)
    assert page.evaluate(nodes) < 3000
    assert page.evaluate("window.shifted") < STILL


@pytest.mark.alone
def test_no_page_of_a_large_event_holds_the_browser_up(
    host: Visit, crowd: str, browser: Browser, database: psycopg.Connection[Any]
):
    """Somebody in 500 photos, one of these, the questions, whom to choose, and the history."""
    most = "select id from memoria.persons where event_id = %s order by face_count desc limit 1"
    person = database.execute(most, (crowd,)).fetchone()
    assert person is not None
    page = sign_in(host, address="#/events")
    browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
    page.goto(page.url.split("#")[0] + f"#/e/{crowd}/person/{person[0]}")
    scroll_to(page, ".photo-grid", 500)
    page.evaluate("document.querySelector('.photo-grid .tile').click()")
    for _ in range(3):
        page.get_by_role("button", name="Next photo").click()
        expect(page.locator(".frame img.ready")).to_be_visible()
    page.get_by_role("link", name="Review").click()
    for number in range(1, 4):
        expect(page.get_by_text(f"{number} of 300", exact=True)).to_be_visible()
        page.keyboard.press("n")
    page.get_by_role("button", name="Somebody else…").click()
    page.get_by_label("Type a name").fill("guest")
    expect(page.get_by_role("dialog").get_by_role("listitem")).to_have_count(24)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("link", name="History").click()
    expect(page.locator(".history li")).to_have_count(4)  # a day and three answers
    assert longest_task_ms(json.loads(browser.stop_tracing())["traceEvents"]) < 200


def test_back_comes_to_where_one_was(host: Visit, crowd: str):
    page = at(host, crowd)
    page.mouse.wheel(0, 4000)
    expect(cards(page)).not_to_have_count(100)
    page.get_by_label("Name of Guest 60").scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    assert before > 1000
    page.evaluate("document.querySelector('.people-grid .cover').click()")
    expect(page.locator(".person-heading")).to_be_visible()
    page.go_back()
    expect(page.locator(".people-grid")).to_be_visible()
    page.wait_for_function("y => Math.abs(scrollY - y) < 5", arg=before)


def test_without_a_connection_the_rest_of_a_list_is_asked_for_at_leisure(host: Visit, crowd: str):
    page = at(host, crowd)
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    host.expect("ERR_INTERNET_DISCONNECTED")
    host.context.set_offline(True)
    page.mouse.wheel(0, 20_000)
    page.wait_for_timeout(1_500)
    assert sum(url.endswith("/rpc/memoria_people") for url in failed) == 1
    host.context.set_offline(False)
    expect(cards(page)).not_to_have_count(100)
