"""A guest's request, whole: the real functions over HTTP, the real database, real photos."""

import uuid
from typing import Any

import httpx
import pytest

from local.processes.stack import Stack
from tests.data import PHOTOS, PORTRAITS, SMALL_PACK, needs
from tests.functions.conftest import ORIGIN
from tests.functions.party import Party, code, turned

pytestmark = needs(SMALL_PACK, PORTRAITS, PHOTOS)


def test_a_guest_finds_the_own_photos(party: Party) -> None:
    for person, selfie in enumerate(party.selfies):
        answer = party.search(party.link(), selfie)
        body = answer.json()
        assert answer.status_code == 200, body
        photos = [photo for match in body["matches"] for photo in match["photos"]]
        expected = {f"{party.event} {person} {number}" for number in range(4)}
        assert {photo["media_id"] for photo in photos} == expected
        assert set(photos[0]) == {"media_id", "bbox", "width", "height", "band", "url"}
        assert set(body["matches"][0]) == {"match", "confidence", "band", "photos"}
        shown = httpx.get(photos[0]["url"], trust_env=False)
        assert shown.status_code == 200
        assert body["model"] == SMALL_PACK.name


def test_three_pictures_are_searched_as_one_person(party: Party) -> None:
    frames = [turned(party.selfies[0], degrees) for degrees in (-6, 0, 6)]
    body = party.search(party.link(), *frames).json()
    assert body["outcome"] == "found"
    assert code(party.search(party.link(), *party.selfies[:2])) == (422, "several_people")


def test_a_stranger_is_told_nobody(party: Party) -> None:
    body = party.search(party.link(), party.stranger).json()
    assert body["outcome"] == "nobody"
    assert body["matches"] == []


def test_a_guest_points_at_a_face_of_several(party: Party) -> None:
    token = party.link()
    picture = (PHOTOS / "selfie_6_faces.jpg").read_bytes()
    several = party.search(token, picture, point="")
    boxes = several.json()["error"]["faces"]
    assert len(boxes) == 6
    middle = f"{boxes[3]['x'] + boxes[3]['w'] / 2},{boxes[3]['y'] + boxes[3]['h'] / 2}"
    chosen = party.search(token, picture, point=middle)
    assert chosen.json()["face"]["bbox"] == boxes[3]


def test_a_used_up_link_says_when_to_come_back(party: Party) -> None:
    token = party.link(max_searches=1)
    assert party.search(token, party.selfies[0]).status_code == 200
    refused = party.search(token, party.selfies[0], headers={"Origin": ORIGIN})
    assert code(refused) == (429, "too_many_searches")
    assert int(refused.headers["Retry-After"]) > 0
    assert "Retry-After" in refused.headers["Access-Control-Expose-Headers"]


def test_the_apps_backend_is_told_who(party: Party, stack: Stack) -> None:
    bucket = party.client.storage.from_("photos")
    bucket.upload(f"selfies/{party.event}.jpg", party.selfies[1])
    url = bucket.create_signed_url(f"selfies/{party.event}.jpg", 60)["signedURL"]
    body = {"event_id": party.event, "media_url": url, "consent": "1"}
    found = party._ask(f"{stack.process_url}/search", body)
    (match,) = found["matches"]
    assert uuid.UUID(match["person_id"])


def test_an_answer_can_be_had_again_by_the_same_guest_alone(party: Party, stack: Stack) -> None:
    token = party.link()
    done = party.search(token, party.selfies[0], guest="one").json()
    url = f"{stack.process_url}/search/{done['search_id']}"
    headers = {"Authorization": f"Search {token}", "X-Memoria-Guest": "one"}
    again = httpx.get(url, headers=headers, trust_env=False)
    assert len(again.json()["photos"]) == 4
    other = httpx.get(url, headers=headers | {"X-Memoria-Guest": "two"}, trust_env=False)
    assert code(other) == (404, "not_found")
    removal = httpx.post(f"{url}/removal", headers=headers, trust_env=False)
    assert removal.json()["removal_requested_at"]
    audit: Any = party.client.rpc("memoria_searches", {"p_event_id": party.event}).execute().data
    asked = [search for search in audit["searches"] if search["removal_requested_at"]]
    assert [search["search_id"] for search in asked] == [done["search_id"]]


@pytest.mark.parametrize(("origin", "allowed"), [(ORIGIN, True), ("https://evil.example", False)])
def test_only_listed_pages_may_ask_from_a_browser(
    party: Party, stack: Stack, origin: str, allowed: bool
) -> None:
    preflight = httpx.options(
        f"{stack.process_url}/search", headers={"Origin": origin}, trust_env=False
    )
    error = party.search("unheard-of-token-0123456789", b"x", headers={"Origin": origin})
    for answer in (preflight, error):
        assert ("Access-Control-Allow-Origin" in answer.headers) is allowed
        assert "Origin" in answer.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert preflight.status_code == 204
