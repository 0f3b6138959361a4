"""A guest's request, whole: the real functions over HTTP, the real database, real photos."""

import io
import json
import uuid
from collections.abc import Iterator
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image

from local.processes.stack import Stack, StackOptions
from memoria.search.form import MAX_PICTURE_BYTES
from tests.data import PHOTOS, PORTRAITS, SMALL_PACK, needs

pytestmark = needs(SMALL_PACK, PORTRAITS, PHOTOS)
ORIGIN = "https://app.example"
Json = dict[str, Any]


def photos_of(count: int) -> list[list[bytes]]:
    """Photos of so many people with five or more, five each."""
    labels = json.loads((PORTRAITS / "labels.json").read_text())["photos"]
    named: dict[str, list[str]] = {}
    for name, who in sorted(labels.items()):
        named.setdefault(str(who), []).append(name)
    several = [names for names in named.values() if len(names) >= 5][:count]
    return [[(PORTRAITS / name).read_bytes() for name in names[:5]] for names in several]


class Party:
    """Four photos of each of three people, grouped; a fifth of each is the selfie."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.client = stack, stack.client()
        self.event = f"party {uuid.uuid4()}"
        *people, stranger = photos_of(4)
        self.selfies = [photos[4] for photos in people]
        self.stranger = stranger[0]
        self.client.storage.create_bucket(self.event_bucket)
        for person, photos in enumerate(people):
            for number, data in enumerate(photos[:4]):
                self._process(f"{person} {number}", data)
        cluster = self.client.rpc("memoria_recluster", {"p_event_id": self.event}).execute().data
        ids = {"job_id": cluster["job_id"], "event_id": self.event}
        assert self._ask(f"{stack.cluster_url}/cluster", ids)["clusters_created"] == 3

    @property
    def event_bucket(self) -> str:
        return "photos"

    def _process(self, name: str, data: bytes) -> None:
        media = f"{self.event} {name}"
        path = f"{uuid.uuid4()}.jpg"
        self.client.storage.from_(self.event_bucket).upload(path, data)
        place = {"p_bucket": self.event_bucket, "p_path": path}
        ids = {"p_media_id": media, "p_event_id": self.event}
        job = self.client.rpc("memoria_enqueue", ids | place).execute().data
        url = self.client.storage.from_(self.event_bucket).create_signed_url(path, 600)["signedURL"]
        body = {"job_id": job["job_id"], "media_id": media, "event_id": self.event}
        found = self._ask(f"{self.stack.process_url}/process", body | {"media_url": url})
        assert found["faces_detected"] >= 1

    def _ask(self, url: str, body: Json) -> Json:
        headers = {"Authorization": f"Bearer {self.stack.webhook_secret}"}
        answer = httpx.post(url, json=body, headers=headers, timeout=60, trust_env=False)
        assert answer.status_code == 200, answer.text
        answered: Json = answer.json()
        return answered

    def link(self, **options: Any) -> str:
        arguments = {"p_event_id": self.event, "p_options": options}
        return str(self.client.rpc("memoria_create_search_link", arguments).execute().data["token"])

    def search(
        self, token: str, *pictures: bytes, headers: Json | None = None, **fields: str
    ) -> httpx.Response:
        fields = {"consent": "1", "guest": str(uuid.uuid4()), "point": "0.5,0.5"} | fields
        return httpx.post(
            f"{self.stack.process_url}/search",
            data={name: value for name, value in fields.items() if value},
            files=[("image", ("me.jpg", data, "image/jpeg")) for data in pictures],
            headers={"Authorization": f"Search {token}"} | (headers or {}),
            timeout=60,
            trust_env=False,
        )


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    options = StackOptions(
        environ={"MODEL_DIR": str(SMALL_PACK), "SEARCH": "on", "SEARCH_ORIGINS": ORIGIN},
        without=frozenset({"pg_net", "cron"}),
        settings={"quiet_period_seconds": 0, "callbacks": False},
    )
    with Stack(options) as stack:
        yield stack


@pytest.fixture(scope="module")
def party(stack: Stack) -> Party:
    return Party(stack)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_guest_finds_the_own_photos(party: Party) -> None:
    for person, selfie in enumerate(party.selfies):
        answer = party.search(party.link(), selfie)
        body = answer.json()
        assert answer.status_code == 200, body
        photos = [photo for match in body["matches"] for photo in match["photos"]]
        expected = {f"{party.event} {person} {number}" for number in range(4)}
        assert {photo["media_id"] for photo in photos} == expected
        assert set(photos[0]) == {"media_id", "bbox", "width", "height", "url"}
        assert set(body["matches"][0]) == {"match", "confidence", "band", "photos"}
        shown = httpx.get(photos[0]["url"], trust_env=False)
        assert shown.status_code == 200
        assert body["model"] == SMALL_PACK.name


def test_three_pictures_are_searched_as_one_person(party: Party) -> None:
    turned = [_turned(party.selfies[0], degrees) for degrees in (-6, 0, 6)]
    body = party.search(party.link(), *turned).json()
    assert body["outcome"] == "found"
    assert code(party.search(party.link(), *party.selfies[:2])) == (422, "several_people")


def test_a_stranger_is_told_nobody(party: Party) -> None:
    body = party.search(party.link(), party.stranger).json()
    assert body["outcome"] == "nobody"
    assert body["matches"] == []


def _turned(data: bytes, degrees: float) -> bytes:
    image = Image.open(io.BytesIO(data)).rotate(degrees, resample=Image.Resampling.BICUBIC)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def _jpeg(image: Any) -> bytes:
    return cv2.imencode(".jpg", image)[1].tobytes()


def _small(data: bytes) -> bytes:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    scale = 60 / image.shape[0]
    canvas = np.full((240, 240, 3), 128, np.uint8)
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas[90 : 90 + small.shape[0], 90 : 90 + small.shape[1]] = small
    return _jpeg(canvas)


def test_what_is_no_selfie_is_refused_with_the_reason(party: Party) -> None:
    token = party.link(per_guest=100)
    blank = _jpeg(np.full((300, 300, 3), 200, np.uint8))
    group = (PHOTOS / "selfie_6_faces.jpg").read_bytes()
    assert code(party.search(token, blank)) == (422, "no_face")
    assert code(party.search(token, _small(party.selfies[0]))) == (422, "face_too_small")
    assert code(party.search(token, b"no picture at all")) == (422, "unreadable_media")
    assert code(party.search(token, b"\0\0\0\x18ftypmp42" + b"\0" * 99)) == (
        415,
        "unsupported_media_type",
    )
    assert code(party.search(token, b"x" * (MAX_PICTURE_BYTES + 1))) == (413, "media_too_large")
    assert code(party.search(token, party.selfies[0], point="2,0")) == (400, "invalid_request")
    assert code(party.search(token)) == (400, "invalid_request")
    several = party.search(token, group, point="")
    assert code(several) == (422, "several_faces")
    boxes = several.json()["error"]["faces"]
    assert len(boxes) == 6
    middle = f"{boxes[3]['x'] + boxes[3]['w'] / 2},{boxes[3]['y'] + boxes[3]['h'] / 2}"
    chosen = party.search(token, group, point=middle)
    assert chosen.json()["face"]["bbox"] == boxes[3]


def test_credentials_and_consent(party: Party, stack: Stack) -> None:
    token = party.link()
    selfie = party.selfies[0]
    assert code(party.search(token, selfie, consent="")) == (403, "consent_required")
    assert code(party.search(token, selfie, consent="old")) == (403, "consent_required")
    assert code(party.search("unheard-of-token-0123456789", selfie)) == (404, "not_found")
    assert code(party.search("!", selfie)) == (404, "not_found")
    nobody = httpx.post(f"{stack.process_url}/search", files={"image": selfie}, trust_env=False)
    assert code(nobody) == (401, "unauthorized")
    in_query = httpx.post(
        f"{stack.process_url}/search?token={token}", files={"image": selfie}, trust_env=False
    )
    assert code(in_query) == (400, "invalid_request")


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
