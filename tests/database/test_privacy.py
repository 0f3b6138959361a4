import pytest

from tests.database.caller import Database

ANN, BOB = (0.1, 0.1, 0.2, 0.2), (0.5, 0.1, 0.2, 0.2)

VECTORS = (
    "select (select count(*) from memoria.faces where embedding is not null)"
    " + (select count(*) from memoria.persons where centroid is not null)"
)
TABLES = (
    "events", "media", "faces", "persons", "corrections", "changes", "suggestions",
    "distinct_people", "forgotten_faces", "jobs", "dispatches",
)  # fmt: skip


@pytest.fixture
def people(db: Database) -> Database:
    """Two photos, Ann on both, Bob on the first; everything an event can leave behind."""
    first = db.service.process("m1", [ANN, BOB])["face_ids"]
    second = db.service.process("m2", [ANN])["face_ids"]
    for name, faces in (("Ann", [first[0], *second]), (None, [first[1]])):
        db.do(
            "with new as (insert into memoria.persons"
            " (event_id, name, centroid, representative_face_id)"
            " select 'party', %s, embedding, id from memoria.faces where id = %s returning id)"
            " update memoria.faces set identity_id = new.id, person_id = new.id"
            " from new where faces.id = any (%s)",
            name, faces[0], faces,
        )  # fmt: skip
    ann = db.value("select id from memoria.persons where name = 'Ann'")
    db.service("assign_face", face_id=second[0], person_id=str(ann))
    return db


def test_archiving_purges_every_vector_and_cancels_every_job_at_once(people: Database) -> None:
    running = people.service.claim(people.service.enqueue("m3"))
    report = people.service("archive_event", event_id="party")
    assert report["status"] == "archived"
    assert report["vectors_purged"] == 3
    assert people.value(VECTORS) == 0
    live = "select distinct kind from memoria.jobs where finished_at is null"
    assert people.rows(live) == ["callback"]  # what is owed to the app is still told
    assert people.rows("select status, error_code from memoria.media where id = 'm3'") == [
        ("failed", "event_archived")
    ]
    held = people.service("heartbeat", job_id=running["job_id"], token=running["token"])
    assert held == {"held": False}
    assert people.service.complete(running, [ANN])["reason"] == "archived"
    assert people.value(VECTORS) == 0


def test_archiving_keeps_names_and_who_is_who(people: Database) -> None:
    before = people.rows("select id, person_id from memoria.faces order by id")
    people.service("archive_event", event_id="party")
    assert people.rows("select id, person_id from memoria.faces order by id") == before
    assert people.value("select count(*) from memoria.persons where name = 'Ann'") == 1


def test_archiving_twice_and_reopening_twice_change_nothing_more(people: Database) -> None:
    people.service("archive_event", event_id="party")
    again = people.service("archive_event", event_id="party")
    assert (again["vectors_purged"], again["jobs_cancelled"]) == (0, 0)
    assert people.service("reopen_event", event_id="party")["queued"] == 2
    assert people.service("reopen_event", event_id="party")["queued"] == 0


@pytest.mark.parametrize("deed", ["recluster", "reprocess"])
def test_an_archived_event_takes_no_work(people: Database, deed: str) -> None:
    people.service("archive_event", event_id="party")
    with pytest.raises(Exception, match="archived: reopen it first"):
        people.service(deed, event_id="party")
    with pytest.raises(Exception, match="archived: reopen it first"):
        people.service.enqueue("m9")


def test_a_reopened_event_finds_its_people_again(people: Database) -> None:
    before = people.rows("select id, person_id from memoria.faces order by id")
    people.service("archive_event", event_id="party")
    people.service("reopen_event", event_id="party")
    found = {"m1": [ANN, BOB], "m2": [ANN]}
    for job in people.dispatched("process"):
        people.service.complete(people.service.claim(job), found[job["media_id"]])
    assert people.rows("select id, person_id from memoria.faces order by id") == before
    assert people.value("select count(*) from memoria.faces where embedding is null") == 0


def test_deleting_a_photo_takes_its_faces_and_the_people_nobody_else_shows(
    people: Database,
) -> None:
    report = people.service("delete_media", media_id="m1")
    assert report == {"media_id": "m1", "event_id": "party", "deleted": True}
    assert people.rows("select media_id from memoria.faces") == ["m2"]
    assert people.rows("select name, face_count from memoria.persons") == [("Ann", 1)]
    for table in ("jobs", "dispatches", "corrections"):
        assert people.value(f"select count(*) from memoria.{table} where media_id = 'm1'") == 0
    dangling = (
        "select count(*) from memoria.persons where representative_face_id is not null"
        " and representative_face_id not in (select id from memoria.faces)"
    )
    assert people.value(dangling) == 0


def test_a_named_person_without_faces_keeps_the_name_but_no_vector(people: Database) -> None:
    people.service("delete_media", media_id="m1")
    people.service("delete_media", media_id="m2")
    assert people.rows("select name, face_count from memoria.persons") == [("Ann", 0)]
    assert people.value(VECTORS) == 0


def test_deleting_an_event_leaves_nothing(people: Database) -> None:
    people.service.claim(people.service.enqueue("m3"))
    people.service.process("other", [ANN], event="other")
    people.service("delete_event", event_id="party")
    for table in TABLES:
        key = "id" if table == "events" else "event_id"
        assert people.value(f"select count(*) from memoria.{table} where {key} = 'party'") == 0
    assert people.value("select count(*) from memoria.faces") == 1


def test_the_place_of_a_deleted_job_goes_to_the_next(db: Database) -> None:
    db.configure(max_in_flight={"process": 1})
    db.service.enqueue("m1")
    db.service.enqueue("m2")
    db.service("delete_media", media_id="m1")
    assert [job["media_id"] for job in db.dispatched("process")] == ["m2"]
    db.service.enqueue("m3", "other")
    db.service("delete_event", event_id="party")
    assert [job["media_id"] for job in db.dispatched("process")] == ["m3"]


def test_a_photo_of_an_archived_event_can_be_deleted(people: Database) -> None:
    people.service("archive_event", event_id="party")
    people.service("delete_media", media_id="m1")
    assert people.value("select count(*) from memoria.jobs where kind = 'cluster'") == 1
