from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest

from tests.database.caller import Database, wait_until_blocked
from tests.database.test_follow import ANYBODY_MAKES_EVENTS

ANN, BOB = (0.25, 0.125, 0.25, 0.25), (0.5, 0.5, 0.25, 0.25)


def test_enqueueing_twice_is_one_photo_and_one_job(db: Database) -> None:
    first = db.service.enqueue("m1")
    again = db.service.enqueue("m1")
    assert again == first | {"status": "dispatched"}
    db.service.complete(db.service.claim(first), [ANN])
    assert db.service.enqueue("m1") == first | {"status": "completed"}
    assert db.value("select count(*) from memoria.jobs where kind = 'process'") == 1


def test_a_photo_that_moved_or_had_failed_is_processed_anew(db: Database) -> None:
    first = db.service.enqueue("m1")
    db.service.fail(db.service.claim(first), terminal=True)
    second = db.service.enqueue("m1")
    assert second["job_id"] != first["job_id"]
    db.service.complete(db.service.claim(second), [ANN])
    third = db.service.enqueue("m1", path="elsewhere.jpg")
    assert db.service.claim(third)["path"] == "elsewhere.jpg"
    assert db.service("event_status", event_id="party")["photos"]["pending"] == 1


def test_a_photo_belongs_to_one_event(db: Database) -> None:
    db.service.enqueue("m1", "party")
    with pytest.raises(psycopg.Error, match="taken by another photo") as refused:
        db.service.enqueue("m1", "other")
    assert refused.value.sqlstate == "PT409"


def test_an_event_that_is_deleted_at_this_instant_is_unknown(db: Database) -> None:
    """Before, a foreign key was named to who handed a photo over."""
    db.service.enqueue("m1")
    with psycopg.connect(db.url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("select public.memoria_delete_event('party')")
        enqueued = pool.submit(db.service.enqueue, "m2")
        wait_until_blocked(db.rows, enqueued)
        other.commit()
        with pytest.raises(psycopg.Error, match="There is no such event") as refused:
            enqueued.result()
    assert refused.value.sqlstate == "PT404"
    assert db.service.enqueue("m2")["status"] == "queued"


@pytest.mark.parametrize(("last", "taken"), [("b.jpg", True), ("//", False)])
def test_of_an_id_that_is_named_twice_the_last_word_counts(
    db: Database, last: str, taken: bool
) -> None:
    """Before, the photo was taken in and both answers said that it was not."""
    media = [
        {"media_id": "m1", "bucket": "photos", "path": path}
        for path in ("//" if taken else "a.jpg", last)
    ]
    one, other = db.service("enqueue_many", event_id="party", media=media)["media"]
    assert one == other
    assert ("error" in one) is not taken
    assert db.rows("select path from memoria.media") == ([last] if taken else [])


def test_who_makes_an_event_at_the_same_instant_as_another_is_told(db: Database) -> None:
    """Before, the second was answered with the first one's event, as if it were theirs."""
    db.do(ANYBODY_MAKES_EVENTS)
    late = db.caller("authenticated", UUID(int=2))
    with psycopg.connect(db.url) as other, ThreadPoolExecutor(1) as pool:
        other.execute(
            "insert into memoria.events (id, owner_id) values ('party', %s)", [UUID(int=1)]
        )
        made = pool.submit(late, "create_event", event_id="party")
        wait_until_blocked(db.rows, made)
        other.commit()
        with pytest.raises(psycopg.Error, match="there already") as refused:
            made.result()
    assert refused.value.sqlstate == "PT409"


@pytest.mark.parametrize("wrong", ["", "x" * 201, "a\tb", "a\x7f", "\x01"])
def test_ids_are_one_to_two_hundred_characters_without_control(db: Database, wrong: str) -> None:
    """The rule of contracts.py: what the function would refuse is never nudged."""
    db.service.enqueue("ü" * 200, "é" * 200)
    for media, event in ((wrong, "party"), ("m1", wrong)):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="1 to 200 characters"):
            db.service.enqueue(media, event, "x.jpg")
    for table, columns in (("events", "(id)"), ("media", "(id, event_id, bucket, path)")):
        values = "(%s)" if table == "events" else "(%s, 'party', 'b', 'p')"
        db.do("insert into memoria.events (id) values ('party') on conflict do nothing")
        with pytest.raises(psycopg.errors.CheckViolation):
            db.do(f"insert into memoria.{table} {columns} values {values}", wrong)
    assert db.service.enqueue("after", "party")["status"] == "queued"


@pytest.mark.parametrize("wrong", ["", "x" * 201, "a\tb", "a\x7f", "a\nb", "é", "a b", "x" * 200])
def test_the_rule_of_ids_is_that_of_the_contract(db: Database, wrong: str) -> None:
    from pydantic import TypeAdapter, ValidationError

    from memoria.contracts import Id

    try:
        TypeAdapter(Id).validate_python(wrong)
        valid = True
    except ValidationError:
        valid = False
    assert db.value("select memoria.is_id(%s)", wrong) is valid


def test_the_status_counts_photos_by_outcome_and_gives_reasons(db: Database) -> None:
    db.service.process("m1", [ANN, BOB])
    db.service.fail(db.service.claim(db.service.enqueue("m2")), terminal=True)
    db.service.enqueue("m3")
    status = db.service("event_status", event_id="party")
    assert status["photos"] == {
        "total": 3, "pending": 1, "completed": 1, "failed": 1, "waiting": 0,
    }  # fmt: skip
    assert status["failures"] == [
        {"media_id": "m2", "code": "unreadable_media", "message": "It did not work."}
    ]
    assert (status["faces"], status["people"]) == (2, 0)
    assert (status["status"], status["clustering"], status["done"]) == (
        "open",
        "waiting",
        False,
    )


def test_an_event_without_photos_is_done(db: Database) -> None:
    db.service("create_event", event_id="empty")
    assert db.service("event_status", event_id="empty")["done"] is True
    assert db.service("media", event_id="empty")["media"] == []


def test_the_photos_come_with_their_faces_and_no_vectors(db: Database) -> None:
    (face,) = db.service.process("m1", [ANN])["face_ids"]
    db.service.fail(db.service.claim(db.service.enqueue("m2")), terminal=True)
    found, failed = db.service("media", event_id="party")["media"]
    ((shown),) = found.pop("faces")
    assert found.pop("created_at")
    assert found == {
        "media_id": "m1", "bucket": "photos", "path": "party/m1.jpg", "status": "completed",
        "width": 4000, "height": 3000, "model": "pack", "error": None, "preview_path": None,
    }  # fmt: skip
    assert shown.pop("landmarks")["nose"] == {"x": 0.5, "y": 0.5}
    assert shown == {
        "face_id": face, "bbox": dict(zip("xywh", ANN, strict=True)),
        "quality_score": 0.8, "person_id": None, "pinned": False,
    }  # fmt: skip
    assert failed["error"]["code"] == "unreadable_media"
    assert failed["faces"] == []


def test_reprocessing_queues_every_photo_once(db: Database) -> None:
    db.service.process("m1")
    db.service.enqueue("m2")
    assert db.service("reprocess", event_id="party") == {"event_id": "party", "queued": 1}
    assert db.service("reprocess", event_id="party")["queued"] == 0
    assert len(db.dispatched("process")) == 2
