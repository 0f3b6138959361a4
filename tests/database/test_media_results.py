import hashlib
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.database.caller import Box, Database, vector

ANN, BOB, CID = (0.1, 0.1, 0.2, 0.2), (0.5, 0.1, 0.2, 0.2), (0.1, 0.6, 0.1, 0.1)
FACES = "select id, person_id, model from memoria.faces order by x, y"


def shifted(box: Box, by: float) -> Box:
    x, y, w, h = box
    return (x + by * w, y, w, h)


def again(db: Database, boxes: list[Box], model: str = "pack") -> dict[str, Any]:
    """Processes photo m1 once more."""
    db.service("reprocess", event_id="party")
    (job,) = db.dispatched("process")
    answer: dict[str, Any] = db.service.complete(db.service.claim(job), boxes, model)
    assert answer["outcome"] == "stored"
    return answer


def test_faces_are_stored_with_everything(db: Database) -> None:
    answer = db.service.process("m1", [ANN, BOB])
    assert answer["faces_stored"] == 2
    assert db.rows("select status, model, width, height, faces_detected from memoria.media") == [
        ("completed", "pack", 4000, 3000, 2)
    ]
    ((box, vector_text, landmarks, score, quality),) = db.rows(
        "select array[x, y, w, h], embedding::text, landmarks, score, quality"
        " from memoria.faces where id = %s",
        answer["face_ids"][1],
    )
    assert box == pytest.approx(BOB)
    stored = [float(number) for number in vector_text.strip("[]").split(",")]
    sent = [float(number) for number in vector(f"{BOB}pack").strip("[]").split(",")]
    assert stored == pytest.approx(sent, abs=1e-6)
    assert (landmarks, score, quality) == ([0.5] * 10, pytest.approx(0.9), pytest.approx(0.8))


def test_the_same_result_twice_changes_nothing_and_says_so(db: Database) -> None:
    claim = db.service.claim(db.service.enqueue("m1"))
    first = db.service.complete(claim, [ANN])
    before = db.rows("select * from memoria.faces")
    assert db.service.complete(claim, [ANN, BOB]) == {"outcome": "skipped", "reason": "done"}
    assert db.rows("select * from memoria.faces") == before
    assert first["face_ids"] == [str(row[0]) for row in before]


def test_ids_are_deterministic_for_photo_and_box(db: Database) -> None:
    first = db.service.process("m1", [ANN, BOB])["face_ids"]
    db.service("delete_media", media_id="m1")
    assert db.service.process("m1", [BOB, ANN])["face_ids"] == first[::-1]
    assert set(db.service.process("m2", [ANN, BOB])["face_ids"]).isdisjoint(first)


def test_reprocessing_keeps_id_and_person_and_replaces_the_vector(db: Database) -> None:
    ids = db.service.process("m1", [ANN, BOB])["face_ids"]
    db.do(
        "with ann as (insert into memoria.persons (event_id, name) values ('party', 'Ann')"
        " returning id) update memoria.faces set identity_id = ann.id, person_id = ann.id"
        " from ann where faces.id = %s",
        ids[0],
    )
    before = {row[0]: row for row in db.rows(FACES)}
    answer = again(db, [shifted(BOB, 0.1), CID, shifted(ANN, -0.2)], model="another")
    assert answer["face_ids"][2] == ids[0]
    assert answer["face_ids"][0] == ids[1]
    after = {row[0]: row for row in db.rows(FACES)}
    assert len(after) == 3
    for face, (_, person, model) in before.items():
        assert model == "pack"
        assert after[face] == (face, person, "another")
    assert db.value("select embedding::text from memoria.faces where id = %s", ids[0]) != vector(
        f"{ANN}pack"
    )


def test_a_face_that_is_no_longer_found_goes(db: Database) -> None:
    ids = db.service.process("m1", [ANN, BOB])["face_ids"]
    assert again(db, [ANN])["face_ids"] == [ids[0]]
    assert db.value("select count(*) from memoria.faces") == 1
    assert db.value("select faces_detected from memoria.media") == 1


@pytest.mark.parametrize(("by", "same"), [(0.33, True), (0.34, False)])
def test_half_an_overlap_is_the_same_face_less_is_another(
    db: Database, by: float, same: bool
) -> None:
    first = db.service.process("m1", [ANN])["face_ids"]  # overlap is (1 - by) / (1 + by)
    assert (again(db, [shifted(ANN, by)])["face_ids"] == first) is same


def test_two_faces_never_share_one_id(db: Database) -> None:
    (ann,) = db.service.process("m1", [ANN])["face_ids"]
    pair = again(db, [shifted(ANN, 0.1), shifted(ANN, 0.02)])["face_ids"]
    assert pair[1] == ann  # the better overlap keeps it
    assert pair[0] != ann
    twins = again(db, [ANN, ANN, ANN])["face_ids"]
    assert len(set(twins)) == 3


def test_an_id_whose_box_moved_away_is_not_given_out_again(db: Database) -> None:
    (ann,) = db.service.process("m1", [ANN])["face_ids"]
    again(db, [shifted(ANN, 0.3)])
    moved, new = again(db, [shifted(ANN, 0.5), ANN])["face_ids"]
    assert moved == ann
    assert new != ann


def test_a_forgotten_face_does_not_come_back(db: Database) -> None:
    db.service.process("m1", [ANN, BOB])
    db.do(
        "with gone as (delete from memoria.faces where x < 0.3 returning *)"
        " insert into memoria.forgotten_faces (event_id, picture, x, y, w, h)"
        " select event_id, 'media:' || media_id, x, y, w, h from gone"
    )
    answer = again(db, [shifted(ANN, 0.05), BOB])
    assert answer["face_ids"][0] is None
    assert answer["faces_stored"] == 1
    payload = db.rows(
        "select payload from memoria.jobs where kind = 'callback' order by created_at"
    )[-1]
    assert payload["faces_detected"] == 1
    assert [face["bbox"]["x"] for face in payload["faces"]] == [BOB[0]]


def test_a_tombstone_takes_one_face_only(db: Database) -> None:
    db.service.process("m1", [ANN])
    db.do(
        "insert into memoria.forgotten_faces (event_id, picture, x, y, w, h)"
        " values ('party', 'media:m1', 0.1, 0.1, 0.2, 0.2); delete from memoria.faces"
    )
    ids = again(db, [ANN, shifted(ANN, 0.25)])["face_ids"]
    assert ids[0] is None
    assert ids[1] is not None


def test_a_correction_follows_the_box_to_the_new_row(db: Database) -> None:
    (ann,) = db.service.process("m1", [ANN])["face_ids"]
    db.do(
        "with p as (insert into memoria.persons (event_id) values ('party') returning id)"
        " insert into memoria.corrections"
        " (event_id, kind, face_id, media_id, x, y, w, h, person_id)"
        " select 'party', 'pin', %s, 'm1', 0.1, 0.1, 0.2, 0.2, id from p",
        ann,
    )
    again(db, [])
    (back,) = again(db, [shifted(ANN, 0.05)])["face_ids"]
    assert back != ann
    assert str(db.value("select face_id from memoria.corrections")) == back


def test_a_malformed_result_changes_nothing_and_keeps_the_lease(db: Database) -> None:
    claim = db.service.claim(db.service.enqueue("m1"))
    with pytest.raises(psycopg.errors.CheckViolation):
        db.service.complete(claim, [ANN, (0.1, 0.1, 1.5, 0.2)])
    assert db.value("select count(*) from memoria.faces") == 0
    assert db.service.complete(claim, [ANN])["outcome"] == "stored"


def test_the_photo_deleted_meanwhile_ends_its_job_quietly(db: Database) -> None:
    claim = db.service.claim(db.service.enqueue("m1"))
    db.service("delete_media", media_id="m1")
    assert db.service.complete(claim, [ANN]) == {"outcome": "skipped", "reason": "gone"}
    assert db.value("select count(*) from memoria.faces") == 0


def test_the_event_archived_meanwhile_stores_nothing(db: Database) -> None:
    claim = db.service.claim(db.service.enqueue("m1"))
    db.service("archive_event", event_id="party")
    assert db.service.complete(claim, [ANN]) == {"outcome": "skipped", "reason": "archived"}
    assert db.value("select count(*) from memoria.faces") == 0


corners = st.floats(0, 1, width=32)
sides = st.floats(0.0009765625, 1, width=32)
boxes = st.tuples(corners, corners, sides, sides)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(a=boxes, b=boxes)
def test_overlap_is_symmetric_and_a_fraction(db: Database, a: Box, b: Box) -> None:
    query = "select memoria.iou(" + ",".join(["%s::real"] * 8) + ")"
    forth, back = db.value(query, *a, *b), db.value(query, *b, *a)
    assert forth == pytest.approx(back)
    assert 0 <= forth <= 1 + 1e-9
    assert forth == pytest.approx(_iou(a, b))


def _iou(a: Box, b: Box) -> float:
    def common(start: float, size: float, other: float, other_size: float) -> float:
        return max(0.0, min(start + size, other + other_size) - max(start, other))

    shared = common(a[0], a[2], b[0], b[2]) * common(a[1], a[3], b[1], b[3])
    whole = a[2] * a[3] + b[2] * b[3] - shared
    return shared / whole if whole > 0 else 0.0


def test_a_face_id_is_the_start_of_a_sha256(db: Database) -> None:
    (face,) = db.service.process("m1", [ANN])["face_ids"]
    text = "m1|0.1000|0.1000|0.2000|0.2000|1"
    assert face.replace("-", "") == hashlib.sha256(text.encode()).hexdigest()[:32]
