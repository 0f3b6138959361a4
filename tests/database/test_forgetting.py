"""Forgetting is real: nothing that was derived from a face outlives it."""

import json
from uuid import UUID

import numpy as np
import pytest

from tests.database.caller import Database, Json, vector
from tests.database.test_all_done import cluster

ANN, BOB = (0.1, 0.1, 0.2, 0.2), (0.5, 0.1, 0.2, 0.2)
PHOTOS = 6


def digest_of(n: int) -> str:
    return f"{n:064x}"


def face(box: tuple[float, ...], seed: str) -> Json:
    return {
        "bbox": dict(zip("xywh", box, strict=True)), "landmarks": [0.5] * 10,
        "score": 0.9, "quality_score": 0.8, "embedding": vector(seed),
    }  # fmt: skip


def look(
    db: Database, media: str, faces: list[Json], digest: str | None = None, event: str = "party"
) -> list[str]:
    db.service.enqueue(media, event)
    if not any(job["media_id"] == media for job in db.dispatched("process")):
        db.do("select memoria.queue_media(%s, array[%s])", event, media)
    job = next(job for job in db.dispatched("process") if job["media_id"] == media)
    claim = db.service.claim(job)
    result = {
        "model": "pack", "width": 40, "height": 30, "processing_time_seconds": 0.1, "faces": faces,
    }  # fmt: skip
    stored = db.service(
        "complete_media", job_id=claim["job_id"], token=claim["token"],
        result=result | ({"digest": digest} if digest else {}),
    )  # fmt: skip
    ids: list[str] = stored["face_ids"]
    return ids


def run(
    db: Database,
    groups: dict[UUID, list[str]],
    claim: Json | None = None,
    changes: tuple[Json, ...] = (),
    asked: tuple[Json, ...] = (),
) -> None:
    claim = claim or cluster(db)
    body = [
        {
            "person_id": str(person), "is_new": True, "face_ids": faces,
            "representative_face_id": faces[0],
        }
        for person, faces in groups.items()
    ]  # fmt: skip
    saved = db.service(
        "save_people", job_id=claim["job_id"], token=claim["token"],
        result={
            "processing_time_seconds": 0.1, "groups": body, "nobody": [], "changes": list(changes),
            "suggestions": list(asked),
        },
    )  # fmt: skip
    assert saved["outcome"] == "stored", saved


@pytest.fixture
def party(db: Database) -> tuple[Database, UUID, UUID]:
    """Ann and Bob on every photo; a face of Ann's first counted as Bob's."""
    ann, bob = UUID(int=1), UUID(int=2)
    faces: dict[UUID, list[str]] = {ann: [], bob: []}
    for n in range(PHOTOS):
        found = look(db, f"m{n}", [face(ANN, f"ann{n}"), face(BOB, f"bob{n}")], digest_of(n))
        faces[bob if n == 0 else ann].append(found[0])
        faces[bob].append(found[1])
    run(db, faces)
    db.service("assign_face", face_id=faces[bob][0], person_id=str(ann))
    return db, ann, bob


def centroid(db: Database, person: UUID) -> np.ndarray:
    text = db.value("select centroid::text from memoria.persons where id = %s", person)
    return np.array(json.loads(text))


def mean(db: Database, person: UUID) -> np.ndarray:
    rows = db.rows("select embedding::text from memoria.faces where identity_id = %s", person)
    middle = np.mean([json.loads(row) for row in rows], axis=0)
    return np.asarray(middle / np.linalg.norm(middle))


def test_means_are_of_the_faces_that_are_there_after_every_correction(
    party: tuple[Database, UUID, UUID],
) -> None:
    db, ann, bob = party

    def check() -> None:
        for person in (ann, bob):
            assert np.allclose(centroid(db, person), mean(db, person), atol=1e-6)

    check()
    theirs = db.rows("select id from memoria.faces where person_id = %s order by id", ann)
    db.service("reject_face", face_id=theirs[0], person_id=ann)
    check()
    db.service("split_person", person_id=ann, face_ids=theirs[1:3])
    check()
    db.service("delete_media", media_id="m5")
    check()


def test_no_mean_gives_a_forgotten_vector_away(party: tuple[Database, UUID, UUID]) -> None:
    """Before, a neighbour's stored mean and the vectors left gave it back to nine digits."""
    db, ann, bob = party
    db.do("update memoria.persons set centroid = null where id = %s", bob)  # as if it were stale
    db.do(
        "update memoria.persons set centroid = extensions.l2_normalize(("
        "  select extensions.avg(embedding) from memoria.faces)) where id = %s",
        bob,
    )
    db.service("forget_person", person_id=ann)
    assert np.allclose(centroid(db, bob), mean(db, bob), atol=1e-6)


def test_a_run_that_loaded_before_stores_nothing_of_the_forgotten(
    party: tuple[Database, UUID, UUID],
) -> None:
    db, ann, bob = party
    everybody = db.rows("select id::text from memoria.faces")
    db.service("recluster", event_id="party")
    claim = cluster(db)
    db.service("forget_person", person_id=ann)
    changes = [("emptied", ann, None), ("moved", bob, ann), ("new", UUID(int=9), None)]
    run(
        db, {UUID(int=9): everybody}, claim,
        tuple(
            {"kind": kind, "person_id": str(who), "other_person_id": of and str(of), "faces": 1}
            for kind, who, of in changes
        ),
    )  # fmt: skip
    assert db.rows("select kind from memoria.changes where job_id = %s", claim["job_id"]) == ["new"]
    assert not db.value("select count(*) from memoria.change_people where person_id = %s", ann)
    assert db.value("select count(*) from memoria.faces") == PHOTOS
    for person in db.rows("select id from memoria.persons where face_count > 0"):
        assert np.allclose(centroid(db, person), mean(db, person), atol=1e-6)


def test_what_the_app_was_not_told_yet_loses_the_forgotten(
    party: tuple[Database, UUID, UUID],
) -> None:
    db, ann, bob = party
    (drawn_in, *_) = db.rows("select id from memoria.media order by id")
    box = {"x": 0.8, "y": 0.8, "w": 0.1, "h": 0.1}  # the app is told what was found, not drawn
    db.service("add_face", media_id=drawn_in, bbox=box, person=bob)
    db.service("forget_person", person_id=ann)
    payloads = db.rows("select payload from memoria.jobs where kind = 'callback'")
    photos = [payload for payload in payloads if "faces" in payload]
    assert len(photos) == PHOTOS
    for payload in photos:
        assert payload["faces_detected"] == len(payload["faces"]) == 1
        assert payload["faces"][0]["bbox"]["x"] == 0.5
    (people,) = (payload for payload in payloads if "clusters" in payload)
    assert [c["person_id"] for c in people["clusters"]] == [str(bob)]
    assert people["total_faces"] == PHOTOS + 1
    assert str(ann) not in json.dumps([str(payload) for payload in payloads])


def test_a_photo_counts_what_was_found_on_it_and_is_left(
    party: tuple[Database, UUID, UUID],
) -> None:
    db, ann, _ = party
    box = {"x": 0.8, "y": 0.8, "w": 0.1, "h": 0.1}
    db.service("add_face", media_id="m0", bbox=box, person=ann)
    db.service("forget_person", person_id=ann)
    assert db.rows("select distinct faces_detected from memoria.media") == [1]


def test_deleting_and_adding_the_photo_again_brings_nobody_back(
    party: tuple[Database, UUID, UUID],
) -> None:
    db, ann, _ = party
    db.service("forget_person", person_id=ann)
    db.service("delete_media", media_id="m1")
    both = [face(ANN, "ann1"), face(BOB, "bob1")]
    for media in ("m1", "another id"):
        again = look(db, media, both, digest_of(1))
        assert again[0] is None
        assert again[1] is not None
    other = look(db, "another picture", both, digest_of(77))
    assert None not in other


def test_a_copy_of_the_photo_keeps_nothing_of_the_forgotten(
    party: tuple[Database, UUID, UUID],
) -> None:
    """Before, the same vector stayed on a copy that no run had grouped, or that was another's."""
    db, ann, bob = party
    for copy in ("copy", "another's"):
        found = look(db, copy, [face(ANN, "ann1"), face(BOB, "bob1")], digest_of(1))
    db.service("assign_face", face_id=found[0], person_id=str(bob))
    assert db.service("forget_person", person_id=ann)["faces_forgotten"] == PHOTOS + 2
    assert db.value("select count(*) from memoria.faces") == PHOTOS + 2
    left = db.rows("select x from memoria.faces where media_id in ('copy', 'another''s')")
    assert left == pytest.approx([BOB[0]] * 2)
    assert np.allclose(centroid(db, bob), mean(db, bob), atol=1e-6)


def test_another_event_keeps_who_is_forgotten_here(party: tuple[Database, UUID, UUID]) -> None:
    """Two who photograph the same bytes do not decide for each other."""
    db, ann, _ = party
    both = [face(ANN, "ann1"), face(BOB, "bob1")]
    look(db, "theirs", both, digest_of(1), "another")
    db.service("forget_person", person_id=ann)
    assert db.value("select count(*) from memoria.faces where event_id = 'another'") == 2
    assert None not in look(db, "theirs, too", both, digest_of(1), "another")
    look(db, "nobody seen", [], digest_of(1), "another")
    drawn = dict(zip("xywh", ANN, strict=True))
    assert db.service("add_face", media_id="nobody seen", bbox=drawn)["face_id"] is not None


def test_a_pinned_face_that_a_model_missed_stays_forgotten(
    party: tuple[Database, UUID, UUID],
) -> None:
    db, ann, _ = party
    shown = face(ANN, "ann1")
    (pinned,) = db.rows(
        "select id from memoria.faces where media_id = 'm1' and person_id = %s", ann
    )
    db.service("split_person", person_id=ann, face_ids=[pinned])
    alone = db.value("select person_id from memoria.faces where id = %s", pinned)
    assert look(db, "m1", [], digest_of(1)) == []
    assert db.service("forget_person", person_id=alone)["faces_forgotten"] == 0
    assert look(db, "m1", [shown], digest_of(1)) == [None]
    assert look(db, "a copy", [shown], digest_of(1)) == [None]


def test_no_table_holds_the_id_of_the_forgotten(party: tuple[Database, UUID, UUID]) -> None:
    """Not even a correction that took a face away from them, which stays."""
    db, _, bob = party
    taken = "select count(*) from memoria.corrections where kind = 'pin' and was is not null"
    assert db.value(taken) == 1
    db.service("forget_person", person_id=bob)
    assert db.value("select count(*) from memoria.corrections where kind = 'pin'") == 1
    assert tables_that_hold(db, str(bob)) == []


def test_a_run_that_began_before_asks_nothing_about_the_forgotten(
    party: tuple[Database, UUID, UUID],
) -> None:
    """Of three questions two name Bob, or a face of his, beside Ann: they stay, without it."""
    db, ann, bob = party
    of = {who: by_photo(db, who) for who in (ann, bob)}
    db.service("recluster", event_id="party")
    claim = cluster(db)
    db.service("forget_person", person_id=bob)
    pair = {"face_id": of[ann][0], "other_face_id": of[ann][1]}
    asked = (
        about(of[ann][0], bob, ann),
        about(of[ann][1], ann) | {"evidence": [pair | {"other_face_id": of[bob][0]}, pair]},
        about(of[ann][2], bob),
    )
    run(db, {ann: of[ann]}, claim, asked=asked)
    questions = db.rows("select face_id::text, people, evidence from memoria.suggestions")
    assert sorted(questions) == sorted([(of[ann][0], [ann], []), (of[ann][1], [ann], [pair])])
    assert not any(tables_that_hold(db, text) for text in (str(bob), *of[bob]))


def test_who_was_new_and_went_before_the_end_takes_no_question_along(
    party: tuple[Database, UUID, UUID],
) -> None:
    """Their faces are Ann's, as a user said meanwhile; no run follows that would ask again."""
    db, ann, _ = party
    *new, loose = (look(db, f"new{n}", [face(ANN, f"new{n}")])[0] for n in range(4))
    claim = cluster(db)
    for one in new:
        db.service("assign_face", face_id=one, person_id=ann)
    run(db, {UUID(int=3): new}, claim, asked=(about(loose, UUID(int=3), ann),))
    assert not db.rows("select from memoria.jobs where kind = 'cluster' and status <> 'completed'")
    (question,) = db.service("suggestions", event_id="party")["suggestions"]
    assert [one["person_id"] for one in question["candidates"]] == [str(ann)]


def about(face: str, *people: UUID) -> Json:
    """The question whose a face is."""
    candidates = [{"person_id": str(one), "likelihood": 0.5} for one in people]
    question = {"kind": "who_is_this", "likelihood": 0.5, "weight": 1, "evidence": []}
    return question | {"face_id": face, "candidates": candidates}


def by_photo(db: Database, person: UUID) -> list[str]:
    faces = "select id from memoria.faces where person_id = %s order by media_number"
    return [str(one) for one in db.rows(faces, person)]


def tables_that_hold(db: Database, text: str) -> list[str]:
    """Of Memoria's, those with a row that has this text anywhere."""
    held = "select count(*) from memoria.{} as rows where position(%s in rows::text) > 0"
    tables = db.rows("select tablename from pg_tables where schemaname = 'memoria'")
    return [table for table in tables if db.value(held.format(table), text)]


def test_a_run_follows(party: tuple[Database, UUID, UUID]) -> None:
    db, ann, _ = party
    db.do("delete from memoria.jobs where kind = 'cluster'")
    db.service("forget_person", person_id=ann)
    assert db.rows("select status from memoria.jobs where kind = 'cluster'") == ["queued"]


# a picture is its bytes


def test_another_picture_under_the_same_id_inherits_no_name_and_no_pin(db: Database) -> None:
    (first,) = look(db, "m1", [face(ANN, "ann")], digest_of(1))
    person = db.service("assign_face", face_id=first)["person_id"]
    db.service("rename_person", person_id=person, name="Ann")
    (same,) = look(db, "m1", [face(ANN, "ann again")], digest_of(1))
    assert same == first
    assert str(db.value("select person_id from memoria.faces")) == person
    (other,) = look(db, "m1", [face(ANN, "somebody else")], digest_of(2))
    assert other != first
    assert db.rows("select person_id from memoria.faces") == [None]
    assert db.value("select count(*) from memoria.corrections") == 0
    assert db.value("select digest from memoria.media") == digest_of(2)


@pytest.mark.parametrize("digest", ["x" * 64, "ab", digest_of(1).upper().replace("1", "A")])
def test_a_digest_is_a_sha256_in_hex(db: Database, digest: str) -> None:
    import psycopg

    with pytest.raises(psycopg.errors.CheckViolation):
        look(db, "m1", [], digest)


def test_boxes_closer_than_the_rounding_of_ids_are_two_faces(db: Database) -> None:
    close = (0.100001, 0.1, 0.2, 0.2)
    ids = look(db, "m1", [face(ANN, "one"), face(close, "two")])
    assert len(set(ids)) == 2
    assert sorted(look(db, "m1", [face(ANN, "one"), face(close, "two")])) == sorted(ids)


def test_a_pin_and_a_rejection_do_not_contradict_each_other_after_a_merge(db: Database) -> None:
    """Also while a model misses the face that they are about."""
    (pinned,) = look(db, "m1", [face(ANN, "one")])
    one = db.service("assign_face", face_id=pinned)["person_id"]
    (elsewhere,) = look(db, "m2", [face(ANN, "two")])
    other = db.service("assign_face", face_id=elsewhere)["person_id"]
    db.service("reject_face", face_id=pinned, person_id=other)
    look(db, "m1", [])
    db.service("merge_people", into=one, **{"from": [other]})
    kinds = "select kind from memoria.corrections where media_id = 'm1' and withdrawn_by is null"
    assert db.rows(kinds) == ["pin"]
    (back,) = look(db, "m1", [face(ANN, "one")])
    run(db, {UUID(int=5): [back]})
    assert str(db.value("select person_id from memoria.faces where id = %s", back)) == one


def test_a_face_in_the_same_box_of_another_picture_is_another_one(db: Database) -> None:
    """A run or a search that began before still knows the first by its id."""
    first = look(db, "m1", [face(ANN, "ann")], digest_of(1))
    again = look(db, "m1", [face(ANN, "ann")], digest_of(1))
    db.service("delete_media", media_id="m1")
    put_back = look(db, "m1", [face(ANN, "ann")], digest_of(1))
    db.service("delete_media", media_id="m1")
    other = look(db, "m1", [face(ANN, "somebody else")], digest_of(2))
    assert first == again == put_back != other
