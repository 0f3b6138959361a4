import psycopg
import pytest

from tests.database.caller import Database

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
    with pytest.raises(psycopg.Error, match="another event") as refused:
        db.service.enqueue("m1", "other")
    assert refused.value.sqlstate == "PT409"


@pytest.mark.parametrize("wrong", ["", "x" * 201])
def test_ids_are_one_to_two_hundred_characters(db: Database, wrong: str) -> None:
    db.service.enqueue("ü" * 200, "é" * 200)
    with pytest.raises(psycopg.errors.CheckViolation):
        db.service.enqueue(wrong)
    with pytest.raises(psycopg.errors.CheckViolation):
        db.service.enqueue("m1", wrong)


def test_the_status_counts_photos_by_outcome_and_gives_reasons(db: Database) -> None:
    db.service.process("m1", [ANN, BOB])
    db.service.fail(db.service.claim(db.service.enqueue("m2")), terminal=True, code="media_gone")
    db.service.enqueue("m3")
    status = db.service("event_status", event_id="party")
    assert status["photos"] == {"total": 3, "pending": 1, "completed": 1, "failed": 1}
    assert status["failures"] == [
        {"media_id": "m2", "code": "media_gone", "message": "It did not work."}
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
    assert db.service("media", event_id="empty") == {"event_id": "empty", "media": []}


def test_the_photos_come_with_their_faces_and_no_vectors(db: Database) -> None:
    (face,) = db.service.process("m1", [ANN])["face_ids"]
    db.service.fail(db.service.claim(db.service.enqueue("m2")), terminal=True)
    found, failed = db.service("media", event_id="party")["media"]
    ((shown),) = found.pop("faces")
    assert found == {
        "media_id": "m1", "bucket": "photos", "path": "party/m1.jpg", "status": "completed",
        "width": 4000, "height": 3000, "model": "pack", "error": None,
    }  # fmt: skip
    assert shown.pop("landmarks")["nose"] == {"x": 0.5, "y": 0.5}
    assert shown == {
        "face_id": face, "bbox": dict(zip("xywh", ANN, strict=True)),
        "quality_score": 0.8, "person_id": None,
    }  # fmt: skip
    assert failed["error"]["code"] == "media_unavailable"
    assert failed["faces"] == []


def test_reprocessing_queues_every_photo_once(db: Database) -> None:
    db.service.process("m1")
    db.service.enqueue("m2")
    assert db.service("reprocess", event_id="party") == {"event_id": "party", "queued": 1}
    assert db.service("reprocess", event_id="party")["queued"] == 0
    assert len(db.dispatched("process")) == 2


def test_a_bulk_insert_over_the_apps_own_trigger_needs_no_function(db: Database) -> None:
    """The recipe of the README: an app's table feeds memoria.media by statement."""
    db.do(
        "create table public.uploads (id uuid primary key default gen_random_uuid(), party text);"
        " create function public.to_memoria() returns trigger language plpgsql security definer"
        " set search_path = '' as $$ begin"
        " insert into memoria.events (id) select distinct party from added on conflict do nothing;"
        " insert into memoria.media (id, event_id, bucket, path)"
        " select id::text, party, 'photos', party || '/' || id from added on conflict do nothing;"
        " return null; end $$;"
        " create trigger to_memoria after insert on public.uploads referencing new table as added"
        " for each statement execute function public.to_memoria()"
    )
    db.do("insert into public.uploads (party) select 'p' || n % 3 from generate_series(1, 30) n")
    assert db.value("select count(*) from memoria.events") == 3
    assert len(db.dispatched("process")) == 30
