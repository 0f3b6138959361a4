"""A photo that is pointed elsewhere: how its old object ended says nothing of the new one."""

from typing import Any

import pytest

from tests.database.caller import Database

ANN, BOB = (0.1, 0.1, 0.2, 0.2), (0.5, 0.1, 0.2, 0.2)


def photo(db: Database) -> tuple[Any, ...]:
    found: tuple[Any, ...]
    (found,) = db.rows("select path, status, error_code from memoria.media where id = 'm1'")
    return found


def fresh(db: Database) -> bool:
    """Whether the photo's work is due at once, with all its attempts."""
    (found,) = db.rows(
        "select attempts + deaths + waits = 0 and waiting_since is null and error_code is null"
        " and run_after <= clock_timestamp() and status in ('queued', 'dispatched')"
        " from memoria.jobs where kind = 'process' and finished_at is null"
    )
    return bool(found)


def group(db: Database, *faces: str) -> None:
    """One person with these faces, named, so that only their faces may go."""
    db.do(
        "with ann as (insert into memoria.persons (event_id) values ('party') returning id)"
        " update memoria.faces set identity_id = ann.id, person_id = ann.id from ann"
        " where faces.id = any (%s::uuid[])",
        list(faces),
    )
    db.value("select memoria.refresh_people(memoria.people_of_event('party'))::text")
    db.value("select memoria.refresh_centroids(memoria.people_of_event('party'))::text")


@pytest.mark.parametrize("end", ["terminal", "last attempt", "patience", "silence"])
def test_an_old_objects_end_is_not_the_new_ones(db: Database, end: str) -> None:
    """Before, the photo failed for good, by a reason that was another object's."""
    db.configure(max_attempts={"process": 1}, max_deaths=1, outside_patience_hours=1)
    claim = db.service.claim(db.service.enqueue("m1"))
    if end == "patience":
        db.do("update memoria.jobs set waiting_since = now() - interval '2 hours', waits = 9")
    db.service.enqueue("m1", path="good.jpg")
    if end == "silence":
        db.expire("running")
        assert db.service("sweep")["runs_expired"] == 1
    else:
        answer = db.service.fail(claim, terminal=end == "terminal", outside=end == "patience")
        assert answer["outcome"] == "retry"
    assert photo(db) == ("good.jpg", "pending", None)
    assert fresh(db)
    (job,) = db.dispatched("process")
    again = db.service.claim(job)
    assert again["path"] == "good.jpg"
    assert db.service.fail(again, terminal=True)["outcome"] == "failed"


def test_a_new_object_has_all_attempts_and_no_backoff(db: Database) -> None:
    job = db.service.enqueue("m1")
    for _ in range(3):
        db.hurry()
        db.service("sweep")
        db.service.fail(db.service.claim(job), code="internal_error")
    assert not fresh(db)
    db.service.enqueue("m1", path="good.jpg")
    assert fresh(db)
    assert db.service.claim(db.dispatched("process")[0])["path"] == "good.jpg"


def test_a_photo_that_moved_in_an_archived_event_is_looked_at_when_it_is_opened(
    db: Database,
) -> None:
    """Before, one without faces, or that had failed, kept its old outcome for ever."""
    db.service.process("m1")
    db.service.process("m2")
    db.service.fail(db.service.claim(db.service.enqueue("m3")), terminal=True)
    db.service("archive_event", event_id="party")
    version = db.service("event_status", event_id="party")["version"]
    for photo_id in ("m1", "m3"):
        db.do(
            "select memoria.take_in(array[row(%s, 'party', 'photos', 'new.jpg', null)"
            "::memoria.handed], 'public.pics', null)",
            photo_id,
        )
    states = "select id, status, error_code from memoria.media order by id"
    assert db.rows(states) == [
        ("m1", "failed", "event_archived"),
        ("m2", "completed", None),
        ("m3", "failed", "event_archived"),
    ]
    assert db.service("event_status", event_id="party")["version"] > version
    assert db.service("reopen_event", event_id="party")["queued"] == 2
    assert sorted(job["media_id"] for job in db.dispatched("process")) == ["m1", "m3"]


def test_nobody_is_shown_by_a_picture_that_is_gone(db: Database) -> None:
    """Before, who was in a photo that an unreadable one replaced was found in it for ever."""
    old = db.service.process("m1", [ANN, BOB])["face_ids"]
    kept = db.service.process("m2", [ANN])["face_ids"]
    group(db, old[0], *kept)
    group(db, old[1])
    person = db.value("select person_id from memoria.faces where id = %s", old[0])
    db.service("set_cover", person_id=str(person), face_id=old[0])
    claim = db.service.claim(db.service.enqueue("m1", path="other.mp4"))
    assert db.value("select count(*) from memoria.faces") == 3
    db.service.fail(claim, terminal=True, code="unsupported_media_type")
    assert db.rows("select id::text from memoria.faces") == kept
    assert db.rows("select face_count, representative_face_id::text from memoria.persons") == [
        (1, kept[0])
    ]
    assert db.rows(
        "select status, digest, model, faces_detected from memoria.media where id = 'm1'"
    ) == [("failed", None, None, None)]
    assert db.value("select count(*) from memoria.corrections") == 0
    assert db.value("select ungrouped_since is not null from memoria.events")


def test_an_outage_after_a_move_takes_nobodys_faces(db: Database) -> None:
    """It says nothing of the object, and what it ended is looked at again by itself."""
    db.service.process("m1", [ANN, BOB])
    claim = db.service.claim(db.service.enqueue("m1", path="elsewhere/m1.jpg"))
    db.service.fail(claim, terminal=True, code="internal_error")
    assert photo(db) == ("elsewhere/m1.jpg", "failed", "internal_error")
    assert db.value("select count(*) from memoria.faces") == 2


@pytest.mark.parametrize("path", ["party/m1.jpg", "other.jpg"])
def test_a_second_look_that_fails_leaves_the_faces_of_the_same_picture(
    db: Database, path: str
) -> None:
    """Also where the photo moved, and was looked at there since."""
    db.service.process("m1", [ANN])
    if path != "party/m1.jpg":
        db.service.complete(db.service.claim(db.service.enqueue("m1", path=path)), [BOB])
    db.service("reprocess", event_id="party")
    claim = db.service.claim(db.dispatched("process")[0])
    db.service.fail(claim, terminal=True)
    assert photo(db) == (path, "failed", "unreadable_media")
    assert db.value("select count(*) from memoria.faces") == 1
