import pytest

from tests.database.caller import Database, Json
from tests.database.test_all_done import cluster, save

ANN = (0.25, 0.125, 0.25, 0.25)
COUNTS = {"total": 1, "pending": 0, "completed": 0, "failed": 0, "waiting": 0}


def claim_callback(db: Database, answer: Json, event: str = "party") -> Json:
    job = {"job_id": answer["callback_job_id"], "event_id": event}
    claim: Json = db.service.claim(job, kind="callback")
    return claim


def test_a_photo_owes_its_outcome_without_embeddings(db: Database) -> None:
    job = db.service.enqueue("m1")
    claim = claim_callback(db, db.service.complete(db.service.claim(job), [ANN]))
    assert claim["outcome"] == "claimed"
    assert claim["payload"] == {
        "job_id": job["job_id"], "media_id": "m1", "event_id": "party", "status": "completed",
        "faces_detected": 1, "model": "pack", "processing_time_seconds": 0.5,
        "photos": COUNTS | {"completed": 1},
        "faces": [{
            "bbox": dict(zip("xywh", ANN, strict=True)), "quality_score": 0.8,
            "landmarks": {
                name: {"x": 0.5, "y": 0.5}
                for name in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
            },
        }],
    }  # fmt: skip
    assert claim["job_id"] != job["job_id"]


def test_a_failed_photo_owes_its_reason(db: Database) -> None:
    job = db.service.enqueue("m1")
    failed = db.service.fail(db.service.claim(job), terminal=True, code="unreadable_media")
    assert claim_callback(db, failed)["payload"] == {
        "job_id": job["job_id"], "media_id": "m1", "event_id": "party", "status": "failed",
        "faces_detected": 0, "faces": [], "photos": COUNTS | {"failed": 1},
        "error": {"code": "unreadable_media", "message": "It did not work."},
    }  # fmt: skip


def test_a_clustering_owes_its_outcome_and_a_failed_one_its_reason(db: Database) -> None:
    db.service.process("m1")
    run = cluster(db)
    payload = claim_callback(db, save(db, run))["payload"]
    assert payload["job_id"] == run["job_id"]
    assert (payload["status"], payload["clusters"], payload["total_faces"]) == ("completed", [], 0)
    assert payload["photos"] == COUNTS | {"completed": 1}

    db.service("recluster", event_id="party")
    run = cluster(db)
    assert claim_callback(db, db.service.fail(run, terminal=True))["payload"] == {
        "job_id": run["job_id"], "event_id": "party", "status": "failed",
        "total_faces": 0, "clusters_created": 0, "noise_faces": 0, "clusters": [],
        "photos": COUNTS | {"completed": 1},
        "error": {"code": "unreadable_media", "message": "It did not work."},
    }  # fmt: skip


def test_a_delivered_callback_is_done_and_keeps_no_copy(db: Database) -> None:
    claim = claim_callback(db, db.service.process("m1"))
    told = db.service("complete_callback", job_id=claim["job_id"], token=claim["token"])
    assert told == {"outcome": "stored"}
    again = db.service("complete_callback", job_id=claim["job_id"], token=claim["token"])
    assert again["outcome"] == "skipped"
    assert db.rows("select status, payload from memoria.jobs where kind = 'callback'") == [
        ("completed", None)
    ]


def test_a_callback_that_the_worker_never_tried_is_nudged(db: Database) -> None:
    answer = db.service.process("m1")
    assert db.value("select count(*) from memoria.dispatches where kind = 'callback'") == 0
    db.expire("dispatched")
    db.service("sweep")
    (job,) = db.dispatched("callback")
    assert str(job["job_id"]) == answer["callback_job_id"]
    assert job["media_id"] == "m1"
    assert db.service.claim(job, kind="callback")["attempt"] == 1


def test_a_callback_that_fails_is_tried_until_it_is_dead_and_never_touches_the_photo(
    db: Database,
) -> None:
    db.configure(max_attempts={"callback": 3})
    answer = db.service.process("m1")
    outcomes = []
    for _ in range(3):
        outcomes.append(db.service.fail(claim_callback(db, answer), code="callback_failed"))
        db.hurry()
        db.service("sweep")
    assert [outcome["outcome"] for outcome in outcomes] == ["retry", "retry", "failed"]
    assert outcomes[-1]["callback_job_id"] is None
    assert db.value("select status from memoria.media") == "completed"
    assert db.service("requeue", kind="callback") == {"requeued": 1}
    assert claim_callback(db, answer)["payload"]["media_id"] == "m1"


def test_a_job_that_the_sweeper_buries_owes_a_callback_at_once(db: Database) -> None:
    db.configure(max_deaths=1)
    db.service.claim(db.service.enqueue("m1"))
    db.expire("running")
    db.service("sweep")
    (job,) = db.dispatched("callback")
    payload = db.service.claim(job, kind="callback")["payload"]
    assert payload["error"]["code"] == "lease_expired"


@pytest.mark.parametrize("ending", ["complete", "fail"])
def test_where_callbacks_are_off_none_is_owed(db: Database, ending: str) -> None:
    db.configure(callbacks=False)
    claim = db.service.claim(db.service.enqueue("m1"))
    answer = (
        db.service.complete(claim)
        if ending == "complete"
        else db.service.fail(claim, terminal=True)
    )
    assert answer["callback_job_id"] is None
    assert db.value("select count(*) from memoria.jobs where kind = 'callback'") == 0
