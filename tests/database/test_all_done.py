import pytest

from tests.database.caller import Database

WAITING = "select count(*) from memoria.jobs where kind = 'cluster' and status = 'queued'"
CLUSTERS = "select status from memoria.jobs where kind = 'cluster' order by created_at"


def cluster(db: Database, event: str = "party") -> dict[str, object]:
    """Claims the event's cluster job, which must have been handed out."""
    db.hurry()
    db.service("sweep")
    (job,) = (job for job in db.dispatched("cluster") if job["event_id"] == event)
    claim: dict[str, object] = db.service.claim(job, kind="cluster")
    assert claim["outcome"] == "claimed", claim
    return claim


def save(db: Database, claim: dict[str, object]) -> dict[str, object]:
    saved: dict[str, object] = db.service(
        "save_people", job_id=claim["job_id"], token=claim["token"],
        result={"total_faces": 0, "processing_time_seconds": 0.1, "groups": [], "changes": []},
    )  # fmt: skip
    return saved


def test_the_last_photo_queues_one_cluster_job(db: Database) -> None:
    jobs = [db.service.enqueue(media) for media in ("m1", "m2")]
    ahead = "select run_after - clock_timestamp() from memoria.jobs where kind = 'cluster'"
    db.service.complete(db.service.claim(jobs[0]))
    assert 59 < db.value(ahead).total_seconds() <= 60  # no later than this, photos or not
    db.service.complete(db.service.claim(jobs[1]))
    assert 9 < db.value(ahead).total_seconds() <= 10
    assert db.rows(CLUSTERS) == ["queued"]


def test_it_waits_for_the_quiet_period_which_every_photo_prolongs(db: Database) -> None:
    db.configure(quiet_period_seconds=60, cluster_wait_seconds=900)
    ahead = "select run_after - clock_timestamp() from memoria.jobs where kind = 'cluster'"
    db.service.process("m1")
    assert 59 < db.value(ahead).total_seconds() <= 60
    db.do("update memoria.jobs set run_after = run_after - interval '50 seconds'")
    db.service.process("m2")
    assert 59 < db.value(ahead).total_seconds() <= 60
    assert db.rows(CLUSTERS) == ["queued"]


def test_without_a_quiet_period_it_is_handed_out_at_once(db: Database) -> None:
    db.configure(quiet_period_seconds=0)
    db.service.process("m1")
    assert db.rows(CLUSTERS) == ["dispatched"]


def test_events_do_not_wait_for_each_other(db: Database) -> None:
    db.service.enqueue("m1", "slow")
    db.service.process("m2", event="quick")
    assert db.rows("select event_id from memoria.jobs where kind = 'cluster'") == ["quick"]


def test_failed_photos_count_as_done(db: Database) -> None:
    for media in ("m1", "m2"):
        db.service.fail(db.service.claim(db.service.enqueue(media)), terminal=True)
    claim = cluster(db)
    assert save(db, claim)["outcome"] == "stored"
    status = db.service("event_status", event_id="party")
    assert status["done"] is True
    assert (status["people"], status["photos"]["failed"]) == (0, 2)


def test_a_photo_that_arrives_before_the_claim_sends_the_job_back_to_wait(db: Database) -> None:
    db.configure(quiet_period_seconds=0)
    db.service.process("m1")
    late = db.service.enqueue("m2")
    (job,) = db.dispatched("cluster")
    assert db.service.claim(job, kind="cluster") == {"outcome": "skipped", "reason": "later"}
    db.service.complete(db.service.claim(late))
    assert db.service.claim(job, kind="cluster")["outcome"] == "claimed"
    assert len(db.rows(CLUSTERS)) == 1


def test_a_photo_that_arrives_during_clustering_makes_it_run_again_once(db: Database) -> None:
    db.configure(quiet_period_seconds=0)
    db.service.process("m1")
    first = cluster(db)
    for media in ("m2", "m3"):
        db.service.process(media)
    assert db.rows(CLUSTERS) == ["running", "queued"]  # one run per event at a time
    assert save(db, first)["outcome"] == "stored"
    assert db.rows(CLUSTERS) == ["completed", "dispatched"]
    assert save(db, cluster(db))["outcome"] == "stored"
    assert db.rows(CLUSTERS) == ["completed", "completed"]


def test_a_failed_run_gives_way_to_the_one_that_waits_already(db: Database) -> None:
    db.configure(quiet_period_seconds=0)
    db.service.process("m1")
    first = cluster(db)
    db.service.process("m2")
    assert db.service.fail(first)["outcome"] == "retry"
    assert db.rows(CLUSTERS) == ["cancelled", "dispatched"]


def test_a_reopened_event_is_clustered_again(db: Database) -> None:
    db.service.process("m1", [(0.1, 0.1, 0.2, 0.2)])
    save(db, cluster(db))
    db.service("archive_event", event_id="party")
    assert db.service("reopen_event", event_id="party")["queued"] == 1
    (job,) = db.dispatched("process")
    db.service.complete(db.service.claim(job), [(0.1, 0.1, 0.2, 0.2)])
    assert db.value(WAITING) == 1


def test_a_reopened_event_without_faces_is_clustered_too(db: Database) -> None:
    db.service.process("m1")
    save(db, cluster(db))
    db.service("archive_event", event_id="party")
    assert db.service("reopen_event", event_id="party")["queued"] == 0
    assert db.value(WAITING) == 1


def test_deleting_the_photo_that_everyone_waits_for_lets_the_rest_be_clustered(
    db: Database,
) -> None:
    db.service.process("m1")
    save(db, cluster(db))
    db.service.enqueue("stuck")
    assert db.value(WAITING) == 0
    db.service("delete_media", media_id="stuck")
    assert db.value(WAITING) == 1


def test_recluster_waits_for_nothing_and_is_never_postponed(db: Database) -> None:
    db.configure(quiet_period_seconds=600, max_in_flight={"cluster": 0})
    db.service.process("m1")
    job = db.service("recluster", event_id="party")
    pending = [db.service.enqueue(media) for media in ("m2", "m3")]
    db.service.complete(db.service.claim(pending[0]))
    db.configure(max_in_flight={"cluster": 1})
    (sent,) = db.dispatched("cluster")
    assert str(sent["job_id"]) == job["job_id"]
    saved = save(db, db.service.claim(sent, kind="cluster"))
    assert (saved["pending"], saved["complete"]) == (1, False)


@pytest.mark.parametrize("kind", ["process", "cluster"])
def test_zero_in_flight_pauses_a_kind_of_work(db: Database, kind: str) -> None:
    db.configure(quiet_period_seconds=0, max_in_flight={kind: 0})
    job = db.service.enqueue("m1")
    if kind == "process":
        assert db.service.claim(job)["reason"] == "later"
    else:
        db.service.complete(db.service.claim(job))
    assert db.dispatched(kind) == []
    db.configure(max_in_flight={kind: 1})
    assert len(db.dispatched(kind)) == 1
