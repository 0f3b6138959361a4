import json
from typing import Any

import numpy as np
import pytest

from memoria.contracts import ClusterRequest, Dispatch, ProcessRequest, face_body, parse_body
from memoria.errors import InvalidRequest
from memoria.faces.types import Face

DIRECT = {
    "job_id": "test-123",
    "media_id": "m",
    "event_id": "e",
    "media_url": "https://photos.example/a.jpg",
}
RECORD = {
    "id": 1,
    "service": "process",
    "kind": "process",
    "job_id": "j",
    "event_id": "e",
    "media_id": "m",
}
WEBHOOK = {
    "type": "INSERT",
    "table": "dispatches",
    "schema": "memoria",
    "record": RECORD,
    "old_record": None,
}


def refusal(body: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parse_body(json.dumps(body).encode(), ProcessRequest)
    return caught.value.message


def test_a_direct_request_is_read_and_unknown_fields_are_ignored() -> None:
    body = parse_body(json.dumps(DIRECT | {"more": 1}).encode(), ProcessRequest)
    assert isinstance(body, ProcessRequest)
    assert body.media_id == "m"


def test_a_webhook_is_read_as_the_row_it_carries() -> None:
    body = parse_body(json.dumps(WEBHOOK | {"user_id": 7}).encode(), ClusterRequest)
    assert body == Dispatch(kind="process", job_id="j", event_id="e", media_id="m")


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"nul", b"[" * 100_000])
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequest, match="JSON"):
        parse_body(raw, ProcessRequest)


@pytest.mark.parametrize("body", [[], 1, "x", None, [DIRECT]])
def test_a_body_that_is_no_object_is_refused(body: Any) -> None:
    assert "object" in refusal(body)


@pytest.mark.parametrize("field", list(DIRECT))
@pytest.mark.parametrize("value", [None, 7, "", [], {}, True, "x" * 9000])
def test_a_wrong_field_is_named(field: str, value: Any) -> None:
    assert refusal(DIRECT | {field: value}).startswith(f"{field}:")


@pytest.mark.parametrize("field", list(DIRECT))
def test_a_missing_field_is_named(field: str) -> None:
    assert refusal({k: v for k, v in DIRECT.items() if k != field}) == f"{field}: is missing"


def test_control_characters_in_ids_are_refused() -> None:
    assert refusal(DIRECT | {"event_id": "a\x00b"}).startswith("event_id:")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"type": "DELETE"}, "type"),
        ({"table": "media"}, "table"),
        ({"schema": "public"}, "schema"),
        ({"record": None}, "record"),
        ({"record": RECORD | {"kind": "dance"}}, "record.kind"),
        ({"record": {k: v for k, v in RECORD.items() if k != "job_id"}}, "record.job_id"),
    ],
)
def test_a_webhook_for_something_else_is_refused(change: dict[str, Any], named: str) -> None:
    assert refusal(WEBHOOK | change).startswith(f"{named}:")


def test_a_face_is_told_as_the_contract_has_it() -> None:
    face = Face(
        box=np.array([0.1, 0.2, 0.3, 0.4], np.float32),
        score=0.9,
        quality=0.8,
        landmarks=(np.arange(10).reshape(5, 2) / 10).astype(np.float32),
        embedding=np.full(512, 512**-0.5, np.float32),
    )
    body = json.loads(json.dumps(face_body(face)))
    assert body["bbox"] == {"x": 0.1, "y": 0.2, "w": 0.3, "h": 0.4}
    assert list(body["landmarks"]) == ["left_eye", "right_eye", "nose", "mouth_left", "mouth_right"]
    assert body["landmarks"]["nose"] == {"x": 0.4, "y": 0.5}
    assert np.linalg.norm(body["embedding"]) == pytest.approx(1, abs=1e-5)
    assert body["quality_score"] == 0.8
