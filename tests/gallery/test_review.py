"""Put right: questions as cards, by key and by button, and a history in which all can be undone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from local.processes.stack import Stack
from tests.gallery.conftest import Visit, sign_in
from tests.gallery.party import Party

pytestmark = pytest.mark.system

Look = Callable[[Page, str], None]
SAME, WHO = "Is this the same person?", "Who is this?"


@pytest.fixture
def review(host: Visit, party: Party) -> Page:
    """The first question."""
    page = sign_in(host, address=f"#/e/{party.event_id}/review")
    expect(page.get_by_role("heading", name=SAME)).to_be_visible()
    return page


def at(page: Page, number: int, total: int) -> None:
    expect(page.get_by_text(f"{number} of {total}", exact=True)).to_be_visible()


def test_a_question_shows_two_rows_of_three_faces_and_the_whole_photo(review: Page, look: Look):
    at(review, 1, 5)
    expect(review.locator(".trio")).to_have_count(2)
    expect(review.locator(".trio .face.ready")).to_have_count(6)
    look(review, "review")
    review.get_by_label("See the whole photo").first.click()
    expect(review.get_by_role("dialog").locator("img.ready")).to_be_visible()
    look(review, "review-whole")


def test_keys_answer_and_z_takes_back(review: Page, look: Look):
    review.keyboard.press("d")
    at(review, 2, 5)
    review.keyboard.press("n")
    at(review, 3, 5)
    review.keyboard.press("z")
    at(review, 2, 5)
    review.keyboard.press("z")
    at(review, 1, 5)
    for number in range(3):
        review.keyboard.press("n")
        at(review, number + 2, 5)
    expect(review.get_by_role("heading", name=WHO)).to_be_visible()
    look(review, "review-who")


def test_a_double_click_answers_once(review: Page):
    sent: list[str] = []
    review.on("request", lambda request: sent.append(request.url))
    review.get_by_role("button", name="Not sure").dblclick()
    at(review, 2, 5)
    review.wait_for_timeout(300)
    assert sum(url.endswith("/rpc/memoria_answer_suggestion") for url in sent) == 1


def test_on_a_phone_the_undo_hides_no_answer(visit: Callable[..., Visit], party: Party):
    phone = visit(viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True)
    review = sign_in(phone, address=f"#/e/{party.event_id}/review")
    review.get_by_role("button", name="Not sure").click()
    at(review, 2, 5)
    expect(review.locator("#toasts")).to_contain_text("Undo")
    hidden = review.locator(".answers button").evaluate_all(
        """buttons => buttons.filter((button) => {
          const mine = button.getBoundingClientRect()
          const over = document.querySelector('.toast').getBoundingClientRect()
          return mine.bottom > over.top && over.bottom > mine.top
        }).map((button) => button.textContent)"""
    )
    assert hidden == []


def test_an_undo_that_failed_can_be_tried_again(review: Page, host: Visit):
    host.expect("ERR_FAILED")
    review.get_by_role("button", name="Not sure").click()
    at(review, 2, 5)
    review.route("**/rpc/memoria_undo", lambda route: route.abort())
    review.get_by_role("button", name="Undo").click()
    review.get_by_role("button", name="Try again").wait_for()
    review.unroute("**/rpc/memoria_undo")
    review.get_by_role("button", name="Try again").click()
    at(review, 1, 5)


def test_same_merges_and_undo_asks_again(review: Page, party: Party):
    review.keyboard.press("s")
    expect(review.locator("#toasts")).to_contain_text("Same person")
    review.get_by_role("button", name="Undo").click()
    at(review, 1, 5)
    review.get_by_role("button", name="Same person").click()
    expect(review.get_by_text("2 of", exact=False)).to_be_visible()
    review.get_by_role("link", name="People", exact=True).click()
    expect(review.get_by_role("link", name="Ann, 32 faces")).to_be_visible()


def test_a_face_of_nobodys_gets_one_of_the_candidates_or_whoever_is_searched(
    review: Page, look: Look
):
    for number in range(3):
        review.get_by_role("button", name="Not sure").click()
        at(review, number + 2, 5)
    expect(review.get_by_role("heading", name=WHO)).to_be_visible()
    review.keyboard.press("1")
    at(review, 5, 5)
    review.get_by_role("button", name="Somebody else…").click()
    review.get_by_label("Type a name").fill("cleo")
    review.get_by_role("dialog").get_by_role("button", name="Cleo").click()
    expect(review.get_by_role("heading", name="All done")).to_be_visible()
    look(review, "review-done")
    review.get_by_role("link", name="People", exact=True).click()
    expect(review.get_by_role("link", name="Ann, 21 faces")).to_be_visible()
    expect(review.get_by_role("link", name="Cleo, 8 faces")).to_be_visible()


def test_a_question_that_another_host_settled_holds_nothing_up(
    review: Page, host: Visit, stack: Stack, party: Party
):
    host.expect("status of 404")
    for number in range(2):
        review.keyboard.press("n")
        at(review, number + 2, 5)
    forgotten = {"p_person_id": party.people[0]}  # who is a candidate for the face that is next
    stack.client().rpc("memoria_forget_person", forgotten).execute()
    review.keyboard.press("n")
    review.get_by_role("button", name="Try again").click()
    expect(review.get_by_role("heading", name="All done")).to_be_visible()


def test_history_shows_whom_it_is_about(page: Page, party: Party, stack: Stack):
    client = stack.client()
    for person_id in party.people[2:4]:  # nobody can tell these two by their name
        client.rpc("memoria_rename_person", {"p_person_id": person_id, "p_name": "Jo"}).execute()
    page.goto(f"{page.url.split('#')[0]}#/e/{party.event_id}/history")
    rows = page.locator(".history li", has_text="named somebody Jo")
    expect(rows.locator(".face.ready")).to_have_count(2)
    rows.nth(1).get_by_role("link", name="All photos of Jo").click()
    expect(page.locator("h1")).to_have_text("Jo")
    assert page.url.endswith(party.people[2])  # latest first


def test_history_tells_in_words_and_undoes(review: Page, look: Look):
    review.keyboard.press("s")
    at(review, 2, 4)
    review.get_by_role("link", name="History").click()
    entry = review.locator(".history li", has_text="You merged 1 person with Ann")
    expect(entry).to_be_visible()
    look(review, "history")
    entry.get_by_role("button").click()
    expect(review.get_by_text("You took something back")).to_be_visible()
    expect(review.locator(".past")).to_have_count(1)
    review.get_by_role("link", name="People", exact=True).click()
    expect(review.get_by_role("link", name="Ann, 20 faces")).to_be_visible()
