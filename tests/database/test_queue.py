from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from tests.database.caller import Database


def test_a_new_photo_is_queued_dispatched_and_claimed(db: Database) -> None:
    job = db.service.enqueue("m1")
    assert job["status"] == "queued"
    assert db.value("select status from memoria.jobs") == "dispatched"

    claim = db.service.claim(job)

    assert claim["outcome"] == "claimed"
    assert (claim["bucket"], claim["path"]) == ("photos", "party/m1.jpg")
    assert (claim["attempt"], claim["max_attempts"]) == (1, 5)
    assert db.value("select status from memoria.jobs") == "running"


@pytest.mark.parametrize("job_id", ["test-123", "", str(UUID(int=7)), "'; drop table"])
def test_a_job_that_nobody_knows_is_unknown(db: Database, job_id: str) -> None:
    job = {"job_id": job_id, "event_id": "nowhere", "media_id": "nothing"}
    assert db.service.claim(job) == {"outcome": "unknown"}


def test_a_known_photo_under_another_event_is_a_conflict(db: Database) -> None:
    job = db.service.enqueue("m1", "party")
    assert db.service.claim(job | {"event_id": "other"})["outcome"] == "conflict"
    assert db.service.claim(job | {"job_id": "x", "event_id": "other"})["outcome"] == "conflict"


def test_a_job_of_another_photo_or_kind_is_a_conflict(db: Database) -> None:
    job = db.service.enqueue("m1")
    db.service.enqueue("m2")
    assert db.service.claim(job | {"media_id": "m2"})["outcome"] == "conflict"
    assert db.service.claim(job | {"media_id": "unheard of"})["outcome"] == "conflict"
    assert db.service.claim(job, kind="cluster")["outcome"] == "conflict"


def test_of_many_claims_one_wins(db: Database) -> None:
    job = db.service.enqueue("m1")
    callers = [db.caller("service_role") for _ in range(10)]
    with ThreadPoolExecutor(10) as pool:
        outcomes = list(pool.map(lambda caller: caller.claim(job), callers))
    assert sorted(o["outcome"] for o in outcomes) == ["claimed"] + ["skipped"] * 9
    assert {o["reason"] for o in outcomes if o["outcome"] == "skipped"} == {"running"}
    assert db.rows("select tries, attempts from memoria.jobs") == [(1, 0)]


def test_what_is_done_dead_or_gone_says_so(db: Database) -> None:
    done, dead, gone = (db.service.enqueue(media) for media in ("m1", "m2", "m3"))
    db.service.complete(db.service.claim(done))
    db.service.fail(db.service.claim(dead), terminal=True)
    db.service("delete_media", media_id="m3")
    assert db.service.claim(done)["reason"] == "done"
    assert db.service.claim(dead)["reason"] == "dead"
    assert db.service.claim(gone)["outcome"] == "unknown"


def test_a_failed_attempt_is_tried_again_later(db: Database) -> None:
    job = db.service.enqueue("m1")
    failed = db.service.fail(db.service.claim(job))
    assert failed["outcome"] == "retry"
    assert db.service.claim(job) == {"outcome": "skipped", "reason": "later"}
    db.hurry()
    db.service("sweep")
    assert db.service.claim(job)["attempt"] == 2


def test_the_delay_doubles_up_to_its_limit_and_is_scattered(db: Database) -> None:
    db.configure(backoff_first_seconds=4, backoff_most_seconds=60)
    for attempts, nominal in [(1, 4), (2, 8), (4, 32), (5, 60), (100, 60)]:
        seconds = db.rows(
            "select extract(epoch from memoria.backoff(%s))::float from generate_series(1, 200)",
            attempts,
        )
        assert nominal * 0.5 <= min(seconds) < nominal * 0.8
        assert nominal * 1.2 < max(seconds) <= nominal * 1.5


def test_the_last_attempt_is_the_dead_end_with_its_reason(db: Database) -> None:
    db.configure(max_attempts={"process": 2})
    job = db.service.enqueue("m1")
    db.service.fail(db.service.claim(job))
    db.hurry()
    failed = db.service.fail(db.service.claim(job))
    assert failed["outcome"] == "failed"
    assert db.rows("select status, error_code from memoria.jobs where kind = 'process'") == [
        ("failed", "unreadable_media")
    ]
    assert db.rows("select status, error_code, error_message from memoria.media") == [
        ("failed", "unreadable_media", "It did not work.")
    ]


def test_a_worker_whose_lease_ran_out_cannot_write(db: Database) -> None:
    job = db.service.enqueue("m1")
    claim = db.service.claim(job)
    db.expire("running")
    lost = {"outcome": "skipped", "reason": "lease_lost"}
    held = db.service("heartbeat", job_id=claim["job_id"], token=claim["token"])
    assert held == {"held": False}
    assert db.service.complete(claim, [(0.1, 0.1, 0.2, 0.2)]) == lost
    assert db.service.fail(claim, terminal=True) == lost

    second = db.service.claim(job)
    assert second["attempt"] == 2
    held = db.service("heartbeat", job_id=claim["job_id"], token=claim["token"])
    assert held == {"held": False}
    assert db.service.complete(claim, [(0.1, 0.1, 0.2, 0.2)]) == lost
    assert db.value("select count(*) from memoria.faces") == 0
    assert db.service.complete(second)["outcome"] == "stored"


def test_a_heartbeat_keeps_the_lease(db: Database) -> None:
    claim = db.service.claim(db.service.enqueue("m1"))
    db.do("update memoria.jobs set leased_until = clock_timestamp() + interval '2 seconds'")
    held = db.service("heartbeat", job_id=claim["job_id"], token=claim["token"])
    assert held == {"held": True}
    assert db.value(
        "select leased_until > clock_timestamp() + interval '1 minute' from memoria.jobs"
    )


def test_a_late_nudge_takes_no_place_that_went_to_another(db: Database) -> None:
    db.configure(max_in_flight={"process": 1})
    late = db.service.enqueue("m1")
    db.service.enqueue("m2")
    db.expire("dispatched")
    db.do("update memoria.jobs set run_after = run_after - interval '1 hour' where media_id = 'm2'")
    db.service("sweep")
    assert [job["media_id"] for job in db.dispatched("process")] == ["m2"]
    assert db.service.claim(late) == {"outcome": "skipped", "reason": "later"}


def test_the_last_worker_that_vanished_leaves_a_job_that_is_dead(db: Database) -> None:
    db.configure(max_deaths=1)
    job = db.service.enqueue("m1")
    db.service.claim(job)
    db.expire("running")
    assert db.service.claim(job)["reason"] == "dead"
    assert db.service("sweep")["runs_expired"] == 1
    assert db.rows("select status, error_code from memoria.media") == [("failed", "lease_expired")]
