"""What became of photos: told also where answers fail, a tab ended, or the event is gone."""

import json
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.data import photo_of_six
from tests.gallery.conftest import Visit, enter
from tests.gallery.party import Party
from tests.gallery.uploading import (
    HANDED_OVER,
    LOOKED_AT,
    NEWS,
    STORED,
    Held,
    choose,
    refuse,
    sent_as_their_session_ends,
    until,
    upload_page,
)

pytestmark = pytest.mark.system
Connection = psycopg.Connection[Any]
DELETE = "id => import('./session.js').then(({ client }) => client.deleteMedia({ media_id: id }))"
# as if they had been begun eleven minutes earlier
LONG_AGO = """() => {
    const begun = JSON.parse(localStorage.getItem('memoria-begun'))
    for (const one of Object.values(begun)) one.since -= 11 * 60_000
    localStorage.setItem('memoria-begun', JSON.stringify(begun))
}"""


def test_a_photo_that_is_gone_meanwhile_keeps_no_other_from_being_told(
    host: Visit, event: str, database: Connection
) -> None:
    host.expect("status of 404")
    page = upload_page(host, event)
    held = Held(page, *NEWS)
    choose(page, a_jpg=photo_of_six())
    page.get_by_text("being looked at").wait_for()
    first = database.execute(
        "select id from memoria.media where event_id = %s", (event,)
    ).fetchone()
    assert first
    choose(page, b_jpg=photo_of_six() + b"b", c_jpg=photo_of_six() + b"c")
    until(page, lambda: database.execute(LOOKED_AT, (event,)).fetchone() == (3,))
    page.evaluate(DELETE, str(first[0]))
    held.let_go()
    page.get_by_text("2 photos are in, 1 could not be taken").wait_for()
    assert "The photo is no longer there." in _row(page, "a.jpg").inner_text()


def _row(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem").filter(has_text=name)


def test_an_event_that_is_gone_meanwhile_is_told_and_not_asked_about_any_more(
    host: Visit, event: str, database: Connection
) -> None:
    host.expect("status of 40[34]")
    page = upload_page(host, event)
    page.clock.install()
    held = Held(page, *NEWS)
    choose(page, one_jpg=photo_of_six())
    page.get_by_text("being looked at").wait_for()
    database.execute("delete from memoria.events where id = %s", (event,))
    held.let_go()
    page.get_by_text("1 could not be taken").wait_for()
    assert "It is not there, or you may not see it." in _row(page, "one.jpg").inner_text()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)
    page.evaluate("import('./texts.js?last').then(() => {})")
    assert [url.partition("?")[2] for url in asked] == ["last"]


def test_requests_do_not_multiply_while_answers_fail(host: Visit, event: str) -> None:
    host.expect("status of 503")
    rounds, news = 15, 0

    def more_news(route: Route) -> None:
        nonlocal news
        news += 1
        answer = route.fetch()
        status = answer.json()
        status["photos"]["total"] += news
        route.fulfill(response=answer, body=json.dumps(status))

    page = upload_page(host, event)
    page.clock.install()
    status, media = NEWS
    asked: list[str] = []
    page.on("response", lambda answer: asked.append(answer.url) if answer.status == 503 else None)
    page.route(status, more_news)
    refuse(page, media, 503)
    choose(page, one_jpg=photo_of_six())
    page.get_by_text("being looked at").wait_for()
    for _ in range(rounds):
        with page.expect_response(status):
            page.clock.run_for(2000)
    assert rounds / 2 < len(asked) < 2 * rounds


def test_photos_whose_handing_over_was_not_answered_are_told_after_a_reload(
    host: Visit, event: str, database: Connection
) -> None:
    host.expect("ERR_FAILED")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page = upload_page(host, event)
    page.route(HANDED_OVER, lose)
    choose(page, **{f"{name}_jpg": photo_of_six() + name.encode() for name in "abc"})
    page.get_by_text("3 could not be taken").wait_for()
    until(page, lambda: database.execute(LOOKED_AT, (event,)).fetchone() == (3,))
    page.unroute(HANDED_OVER)
    page.reload()
    page.get_by_text("3 photos are in").wait_for()


def test_a_busy_service_is_asked_again_after_a_reload(host: Visit, event: str) -> None:
    host.expect("ERR_FAILED|status of 503")
    page = upload_page(host, event)
    page.clock.install()
    page.route(HANDED_OVER, lambda route: route.abort())
    choose(page, one_jpg=photo_of_six())
    page.get_by_text("There was no connection.").wait_for()
    page.unroute(HANDED_OVER)
    refuse(page, HANDED_OVER, 503, times=1)
    page.reload()
    _row(page, "one.jpg").get_by_text("waiting").wait_for()
    page.clock.run_for(10_000)
    page.get_by_text("1 photo is in").wait_for()


def test_photos_that_are_refused_while_one_looks_elsewhere_are_told(
    host: Visit, event: str
) -> None:
    host.expect("status of 403")
    page = upload_page(host, event)
    held = Held(page, STORED)
    choose(page, one_jpg=photo_of_six())
    until(page, lambda: held.waiting)
    page.get_by_role("link", name="People").click()
    page.get_by_role("heading", name="People", level=1).wait_for()
    held.waiting[0].fulfill(status=403, body="{}")
    page.get_by_text("1 photo is not in yet").wait_for()
    page.get_by_role("link", name="All events").click()
    page.get_by_role("heading", name="Your events").wait_for()
    page.get_by_role("button", name="Show").click()
    page.get_by_role("button", name="Try again: one.jpg").wait_for()


def test_an_archived_event_lists_what_waited_and_why_it_is_not_in(
    host: Visit, event: str, database: Connection
) -> None:
    host.expect("status of 40[0-9]")
    page = upload_page(host, event)
    sent_as_their_session_ends(page, one_jpg=photo_of_six())
    database.execute("update memoria.events set status = 'archived' where id = %s", (event,))
    enter(page)
    page.get_by_text("This event is archived.").wait_for()
    _row(page, "one.jpg").get_by_text("Perhaps it is archived").wait_for()


def test_a_photo_whose_id_is_taken_is_not_told_that_the_event_is_archived(
    host: Visit, event: str, party: Party, database: Connection
) -> None:
    host.expect("status of 409")
    page = upload_page(host, event)
    held = Held(page, HANDED_OVER)
    choose(page, one_jpg=photo_of_six())
    until(page, lambda: held.waiting)
    taken = held.waiting[0].request.post_data_json["p_media_id"]
    database.execute(
        "insert into memoria.media (id, event_id, bucket, path, status)"
        " values (%s, %s, 'photos', 'other.jpg', 'completed')", (taken, party.event_id),
    )  # fmt: skip
    held.let_go()
    _row(page, "one.jpg").get_by_text("The event does not take it.").wait_for()
    page.get_by_text("Drop photos or folders here").wait_for()


def test_a_photo_that_never_arrived_is_told_by_its_name_and_not_tried_again(
    host: Visit, event: str
) -> None:
    host.expect("ERR_FAILED|status of 40[0-9]")
    page = upload_page(host, event)
    page.route(STORED, lambda route: route.abort())
    choose(page, lost_jpg=photo_of_six())
    page.get_by_text("There was no connection.").wait_for()
    page.evaluate(LONG_AGO)
    page.unroute(STORED)
    page.reload()
    lost = _row(page, "lost.jpg")
    lost.get_by_text("It had not arrived when its page was closed.").wait_for()
    refuse(page, STORED, 403)
    choose(page, refused_jpg=photo_of_six())
    page.get_by_role("button", name="Try again: refused.jpg").wait_for()
    expect(lost.get_by_role("button")).to_have_count(1)
    expect(page.get_by_role("button", name="Try all again")).to_be_hidden()
