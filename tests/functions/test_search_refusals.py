"""Every row of the table of errors in docs/search.md, over HTTP."""

import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from memoria.search.form import MAX_PICTURE_BYTES
from tests.data import PHOTOS, PORTRAITS, SMALL_PACK, needs
from tests.functions.party import Party, bare_event, bare_face, code, jpeg, small, sql

pytestmark = needs(SMALL_PACK, PORTRAITS, PHOTOS)
PAGE = Path(__file__).parents[2] / "docs" / "search.md"
Ask = Callable[[Party], httpx.Response]
VIDEO = b"\0\0\0\x18ftypmp42" + b"\0" * 99


def ask(*pictures: bytes, **fields: Any) -> Ask:
    """With a fresh link and these pictures, or the first guest's selfie."""
    return lambda party: party.search(party.link(), *(pictures or party.selfies[:1]), **fields)


def shown(picture: Callable[[Party], bytes], **fields: Any) -> Ask:
    return lambda party: party.search(party.link(), picture(party), **fields)


def one_colour(_: Party) -> bytes:
    return jpeg(np.full((300, 300, 3), 200, np.uint8))


def cartoon(_: Party) -> bytes:
    image = np.full((400, 400, 3), 255, np.uint8)
    cv2.circle(image, (200, 200), 150, (120, 200, 250), -1)
    for x in (150, 250):
        cv2.circle(image, (x, 160), 18, (0, 0, 0), -1)
    cv2.ellipse(image, (200, 240), (70, 45), 0, 0, 180, (0, 0, 200), 8)
    return jpeg(image)


def many_pixels(_: Party) -> bytes:
    """A PNG of 60,000 × 60,000 pixels, by its header."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    end = b"IDAT" + zlib.compress(b"")
    chunks = (
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (head, end)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def group(_: Party) -> bytes:
    return (PHOTOS / "selfie_6_faces.jpg").read_bytes()


def tiny(party: Party) -> bytes:
    return small(party.selfies[0])


def blurred(party: Party) -> bytes:
    image = cv2.imdecode(np.frombuffer(party.selfies[0], np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return jpeg(cv2.GaussianBlur(image, (0, 0), 7))


def without_token(party: Party) -> httpx.Response:
    url = f"{party.stack.process_url}/search"
    return httpx.post(url, data={"consent": "1"}, files={"image": b"x"}, trust_env=False)


def in_the_query(party: Party) -> httpx.Response:
    return httpx.post(
        f"{party.stack.process_url}/search?token={party.link()}",
        files={"image": party.selfies[0]},
        trust_env=False,
    )


def expired(party: Party) -> httpx.Response:
    token = party.link()
    sql(
        party.stack,
        "update memoria.search_links set expires_at = now() where token_hash = sha256(%s)",
        token.encode(),
    )
    return party.search(token, party.selfies[0])


def revoked(party: Party) -> httpx.Response:
    token = party.link()
    party.revoke(token)
    return party.search(token, party.selfies[0])


def replayed_after_revoking(party: Party) -> httpx.Response:
    token = party.link()
    done = party.search(token, party.selfies[0], guest="one").json()
    party.revoke(token)
    return party.again(done["search_id"], token, "one")


def of_another_event(party: Party) -> httpx.Response:
    done = party.search(party.link(), party.selfies[0], guest="one").json()
    other = bare_event(party.stack)
    return party.again(done["search_id"], party.link_of(other), "one")


def told_event(party: Party) -> httpx.Response:
    return party.search(party.link(), party.selfies[0], event_id=party.event)


def archived(party: Party) -> httpx.Response:
    event = bare_event(party.stack, grouped=True)
    token = party.link_of(event)
    party.client.rpc("memoria_archive_event", {"p_event_id": event}).execute()
    return party.search(token, party.selfies[0])


def not_grouped(party: Party) -> httpx.Response:
    return party.search(party.link_of(bare_event(party.stack)), party.selfies[0])


def of_another_model(party: Party) -> httpx.Response:
    event = bare_event(party.stack, grouped=True)
    bare_face(party.stack, event, model="another")
    return party.search(party.link_of(event), party.selfies[0])


def as_a_second_person(party: Party) -> httpx.Response:
    token = party.link(people_per_guest=1)
    assert party.search(token, party.selfies[0], guest="one").json()["outcome"] == "found"
    return party.search(token, party.selfies[1], guest="one")


def again_for_the_31st_time(party: Party) -> httpx.Response:
    token = party.link()
    done = party.search(token, party.selfies[0], guest="one").json()
    sql(
        party.stack,
        "update memoria.searches set again_from = now(), agains = 30 where id = %s",
        done["search_id"],
    )
    return party.again(done["search_id"], token, "one")


def once_more(minute: int = 600, **options: int) -> Ask:
    def search(party: Party) -> httpx.Response:
        token = party.link(**options)
        sql(
            party.stack,
            "select memoria_configure(jsonb_build_object('searches_per_minute', %s::int))",
            minute,
        )
        try:
            party.search(token, one_colour(party), guest="one")
            return party.search(token, one_colour(party), guest="one")
        finally:
            sql(party.stack, "select memoria_configure('{\"searches_per_minute\": 600}')")

    return search


ROWS: dict[str, tuple[int, str, Ask]] = {
    "a point outside": (400, "invalid_request", ask(point="1.5,0")),
    "a point that is none": (400, "invalid_request", ask(point="here")),
    "no picture": (400, "invalid_request", lambda party: party.search(party.link())),
    "an empty picture": (400, "invalid_request", ask(b"")),
    "four pictures": (400, "invalid_request", ask(*[VIDEO] * 4)),
    "an unknown field": (400, "invalid_request", ask(name="Ann")),
    "a guest of 201 letters": (400, "invalid_request", ask(guest="g" * 201)),
    "no guest with a link": (400, "invalid_request", ask(guest="")),
    "an event beside the token": (400, "invalid_request", told_event),
    "a token in the query": (400, "invalid_request", in_the_query),
    "no credential": (401, "unauthorized", without_token),
    "a token that is none": (404, "not_found", lambda party: party.search("!", VIDEO)),
    "an unknown token": (404, "not_found", lambda party: party.search("x" * 43, VIDEO)),
    "an expired token": (404, "not_found", expired),
    "a revoked token": (404, "not_found", revoked),
    "a search replayed after revoking": (404, "not_found", replayed_after_revoking),
    "a token of another event": (404, "not_found", of_another_event),
    "no consent": (403, "consent_required", ask(consent="")),
    "an outdated consent": (403, "consent_required", ask(consent="0")),
    "a second person of one": (403, "person_limit", as_a_second_person),
    "an archived event": (409, "event_archived", archived),
    "an event that was never grouped": (409, "not_grouped_yet", not_grouped),
    "faces of another model": (409, "model_changed", of_another_model),
    "over 10 MB": (413, "media_too_large", ask(b"x" * (MAX_PICTURE_BYTES + 1))),
    "3,600 megapixels": (413, "media_too_large", shown(many_pixels)),
    "a video": (415, "unsupported_media_type", ask(VIDEO)),
    "one colour": (422, "no_face", shown(one_colour)),
    "a cartoon": (422, "no_face", shown(cartoon)),
    "a face of 30 pixels": (422, "face_too_small", shown(tiny)),
    "a blurred face": (422, "face_unclear", shown(blurred)),
    "no picture at all": (422, "unreadable_media", ask(b"no picture at all")),
    "six faces": (422, "several_faces", shown(group, point="")),
    "two people in three pictures": (
        422,
        "several_people",
        lambda party: party.search(party.link(), *party.selfies[:2], party.selfies[0]),
    ),
    "a used up link": (429, "too_many_searches", once_more(max_searches=1)),
    "an eager guest": (429, "too_many_searches", once_more(per_guest=1)),
    "a busy event": (429, "too_many_searches", once_more(minute=1)),
    "a search answered again too often": (429, "too_many_searches", again_for_the_31st_time),
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS)
def test_each_row_of_the_table_is_answered(party: Party, case: str) -> None:
    status, told, search = ROWS[case]
    answer = search(party)
    assert code(answer) == (status, told), answer.text
    assert set(answer.json()) == {"error"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("Retry-After" in answer.headers) is (status == 429)
    assert party.event not in answer.text


def test_the_table_of_the_docs_is_tested_whole() -> None:
    listed = {
        (int(status), told)
        for line in PAGE.read_text().splitlines()
        if re.match(r"\| [\d, ]+ \| `", line)
        for statuses, codes in [line.split("|")[1:3]]
        for status in re.findall(r"\d+", statuses)
        for told in re.findall(r"`(\w+)`", codes)
    }
    tested = {(status, told) for status, told, _ in ROWS.values()}
    assert tested <= listed
    assert {told for _, told in tested} == {told for _, told in listed}


def test_a_refusal_is_in_the_audit_by_its_code(party: Party) -> None:
    party.search(party.link(), one_colour(party))
    audit: Any = party.client.rpc("memoria_searches", {"p_event_id": party.event}).execute().data
    newest = max(audit["searches"], key=lambda search: str(search["created_at"]))
    assert newest["outcome"] == "no_face"
