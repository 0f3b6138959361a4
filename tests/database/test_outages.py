"""Outages outside are ridden out; only what the photo itself causes spends attempts."""

import json

import pytest

from tests.database.caller import Database, Json
from tests.database.test_all_done import cluster, save
from tests.database.test_callbacks import claim_callback
from tests.database.test_nudge import PG_NET

JOB = "select status, attempts, waits, error_code from memoria.jobs where kind = 'process'"


def later(db: Database, interval: str) -> None:
    """Lets time pass for what waits: moves its timestamps, not the limits."""
    db.do(
        "update memoria.jobs set waiting_since = waiting_since - %s::interval,"
        " run_after = run_after - %s::interval where finished_at is null",
        interval, interval,
    )  # fmt: skip
    db.do("update memoria.media set placed_at = placed_at - %s::interval", interval)
    db.service("sweep")


def try_again(db: Database, **failure: object) -> Json:
    db.hurry()
    db.service("sweep")
    (job,) = db.dispatched("process")
    answer: Json = db.service.fail(db.service.claim(job), **failure)  # type: ignore[arg-type]
    return answer


def test_an_outage_spends_no_attempt_however_often_it_is_met(db: Database) -> None:
    db.service.enqueue("m1")
    for n in range(1, 21):
        outcome = try_again(db, outside=True, code="media_unavailable")
        assert outcome["outcome"] == "retry"
        assert db.rows(JOB) == [("queued", 0, n, "media_unavailable")]
    status = db.service("event_status", event_id="party")
    assert (status["photos"]["waiting"], status["done"]) == (1, False)
    assert status["waiting"][0]["code"] == "media_unavailable"
    (outage,) = db.service("status")["outages"]
    assert (outage["kind"], outage["code"], outage["jobs"]) == ("process", "media_unavailable", 1)


def test_the_delay_of_an_outage_grows_to_half_an_hour(db: Database) -> None:
    delays = db.rows(
        "select extract(epoch from memoria.backoff(40, 'outside_backoff_most_seconds'))::float"
        " from generate_series(1, 100)"
    )
    assert 900 <= min(delays) < 1200
    assert 2400 < max(delays) <= 2700


def test_after_three_days_it_is_dead_with_its_reason_and_the_first_success_revives_it_once(
    db: Database,
) -> None:
    db.service.enqueue("m1")
    try_again(db, outside=True, code="media_unavailable")
    later(db, "71 hours")
    assert try_again(db, outside=True, code="media_unavailable")["outcome"] == "retry"
    later(db, "2 hours")
    assert try_again(db, outside=True, code="media_unavailable")["outcome"] == "failed"
    assert db.rows("select status, error_code from memoria.media") == [
        ("failed", "media_unavailable")
    ]
    assert db.service("sweep")["revived"] == 0
    db.service.process("m2", event="other")
    assert db.service("sweep")["revived"] == 1
    assert db.rows("select status from memoria.media where id = 'm1'") == ["pending"]
    try_again(db, outside=True, code="media_unavailable")
    later(db, "73 hours")
    assert try_again(db, outside=True, code="media_unavailable")["outcome"] == "failed"
    db.service.process("m3", event="other")
    assert db.service("sweep")["revived"] == 0  # once


def test_an_event_that_outgrew_its_instance_waits_until_a_larger_one_is_deployed(
    db: Database,
) -> None:
    db.service.process("m1")
    tries = [("0 days", "needs_memory"), ("100 days", "needs_memory")]
    # patience with an outage begins with the outage
    tries += [("0 days", "store_unavailable"), ("0 days", "needs_memory")]
    for days, code in tries:
        later(db, days)
        failed = db.service.fail(cluster(db), outside=True, code=code)
        assert failed["outcome"] == "retry", code
    status = db.service("event_status", event_id="party")
    assert (status["clustering"], status["done"]) == ("needs_memory", False)
    assert status["clustering_error"]["code"] == "needs_memory"
    assert db.service("doctor")["needs_memory"]["events"] == 1
    assert db.dispatched("cluster") == []
    db.configure(callbacks=True)  # as a deployment ends
    (job,) = db.dispatched("cluster")
    save(db, db.service.claim(job, kind="cluster"))
    status = db.service("event_status", event_id="party")
    assert (status["clustering"], status["clustering_error"]) == ("idle", None)
    assert db.service("doctor")["needs_memory"] == {"events": 0, "last_message": None}


def test_what_the_photo_caused_is_not_revived(db: Database) -> None:
    db.service.enqueue("m1")
    try_again(db, outside=True, code="media_unavailable")
    assert try_again(db, terminal=True)["outcome"] == "failed"
    db.service.process("m2")
    assert db.service("sweep")["revived"] == 0


def test_waiting_jobs_hold_at_most_half_the_places_while_others_wait(db: Database) -> None:
    db.configure(max_in_flight={"process": 8})
    for n in range(8):
        db.service.enqueue(f"old{n}", "outage")
    for job in db.dispatched("process"):
        db.service.fail(db.service.claim(job), outside=True)
    for n in range(20):
        db.service.enqueue(f"new{n}", "fresh")
    assert {job["event_id"] for job in db.dispatched("process")} == {"fresh"}
    db.hurry()
    for _ in range(8):
        job = next(job for job in db.dispatched("process") if job["event_id"] == "fresh")
        db.service.complete(db.service.claim(job))
        events = [job["event_id"] for job in db.dispatched("process")]
        assert events.count("outage") <= 4
        assert len(events) == 8
    assert events.count("outage") == 4


def test_alone_they_may_have_every_place(db: Database) -> None:
    db.configure(max_in_flight={"process": 8})
    for n in range(8):
        db.service.enqueue(f"old{n}", "outage")
    for job in db.dispatched("process"):
        db.service.fail(db.service.claim(job), outside=True)
    db.hurry()
    db.service("sweep")
    assert len(db.dispatched("process")) == 8


def test_a_receiver_that_is_down_for_days_hears_of_it_when_it_is_back(db: Database) -> None:
    answer = db.service.process("m1")
    for _ in range(30):
        failed = db.service.fail(claim_callback(db, answer), outside=True, code="callback_failed")
        assert failed["outcome"] == "retry"
        later(db, "2 hours")
        db.hurry()
        db.service("sweep")
    claim = claim_callback(db, answer)
    assert claim["payload"]["media_id"] == "m1"


def test_archiving_keeps_what_is_owed(db: Database) -> None:
    answer = db.service.process("m1")
    db.service("archive_event", event_id="party")
    claim = claim_callback(db, answer)
    assert claim["payload"]["media_id"] == "m1"
    told = db.service("complete_callback", job_id=claim["job_id"], token=claim["token"])
    assert told == {"outcome": "stored"}


def test_workers_that_die_are_counted_apart_and_at_most_ten(db: Database) -> None:
    db.service.enqueue("m1")
    for deaths in range(1, 11):
        db.hurry()
        db.service("sweep")
        (job,) = db.dispatched("process")
        db.service.claim(job)
        db.expire("running")
        assert db.service("sweep")["runs_expired"] == 1
        status = "failed" if deaths == 10 else "queued"
        found = db.rows("select status, attempts, deaths from memoria.jobs where kind = 'process'")
        expected = "dispatched" if status == "queued" and found[0][0] == "dispatched" else status
        assert found == [(expected, 0, deaths)]
    assert db.value("select error_code from memoria.media") == "lease_expired"


def test_a_claim_over_a_dead_worker_counts_its_death(db: Database) -> None:
    job = db.service.enqueue("m1")
    db.service.claim(job)
    db.expire("running")
    assert db.service.claim(job)["attempt"] == 2
    assert db.rows("select attempts, deaths from memoria.jobs") == [(0, 1)]


# the row may be there before the object, and permissions before their effect


def test_a_photo_that_is_gone_is_looked_for_while_its_row_is_young(db: Database) -> None:
    db.service.enqueue("m1")
    assert try_again(db, terminal=True, code="media_gone")["outcome"] == "retry"
    later(db, "9 minutes")
    assert try_again(db, terminal=True, code="media_gone")["outcome"] == "retry"
    later(db, "2 minutes")
    assert try_again(db, terminal=True, code="media_gone")["outcome"] == "failed"


def test_a_photo_that_was_pointed_elsewhere_is_young_again(db: Database) -> None:
    db.service.enqueue("m1")
    later(db, "1 hour")
    db.service.enqueue("m1", path="new.jpg")
    assert try_again(db, terminal=True, code="media_gone")["outcome"] == "retry"


@pytest.mark.parametrize(("bucket", "outcome"), [("gs://b", "retry"), ("photos", "failed")])
def test_a_denied_access_to_google_is_tried_again_for_ten_minutes_after_the_first(
    db: Database, bucket: str, outcome: str
) -> None:
    db.service("enqueue", media_id="m1", event_id="party", bucket=bucket, path="x.jpg")
    later(db, "1 hour")
    assert try_again(db, terminal=True, code="media_forbidden")["outcome"] == outcome
    if outcome == "retry":
        later(db, "11 minutes")
        assert try_again(db, terminal=True, code="media_forbidden")["outcome"] == "failed"


# a nudge that is refused


@pytest.fixture
def answered(db: Database) -> Database:
    db.do(PG_NET.read_text())
    db.configure(process_url="https://process.example/", webhook_secret="secret")
    db.service.enqueue("m1")
    return db


def answer(db: Database, status: int, content: str, seconds: float = 1, request: int = 0) -> None:
    db.do(
        "insert into net._http_response (id, status_code, content, timed_out, created)"
        " select request_id + %s, %s, %s, false, created_at + make_interval(secs => %s)"
        " from memoria.dispatches order by id desc limit 1",
        request, status, content, seconds,
    )  # fmt: skip


OURS = '{"error": {"code": "%s", "message": "record.media_id: is too long"}}'


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_request"), (413, "body_too_large")])
def test_a_nudge_answered_with_our_own_refusal_ends_the_job(
    answered: Database, status: int, code: str
) -> None:
    answer(answered, status, OURS % code)
    assert answered.service("sweep")["refused"] == 1
    assert answered.rows("select status, error_code, error_message from memoria.media") == [
        ("failed", code, "record.media_id: is too long")
    ]
    assert answered.dispatched("callback")


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (401, OURS % "unauthorized"), (403, OURS % "invalid_request"), (404, OURS % "not_found"),
        (405, OURS % "method_not_allowed"), (409, OURS % "conflict"), (429, "Rate exceeded."),
        (500, OURS % "internal_error"), (503, OURS % "store_unavailable"),
        (400, "Bad Request"), (400, '{"error": "invalid_request"}'), (413, "<html>"),
        (400, json.dumps({"error": {"code": "invalid_request", "message": "x", "status": 3}})),
        (400, json.dumps({"error": {"code": "invalid_request", "message": "x"}, "by": "a proxy"})),
        (400, OURS % "body_too_large"), (200, OURS % "invalid_request"),
    ],
)  # fmt: skip
def test_no_other_answer_does(answered: Database, status: int, content: str) -> None:
    answer(answered, status, content)
    assert answered.service("sweep")["refused"] == 0
    assert answered.value("select status from memoria.media") == "pending"


@pytest.mark.parametrize(("seconds", "request_"), [(-5, 0), (3600, 0), (1, 7)])
def test_nor_one_of_another_time_or_request(
    answered: Database, seconds: float, request_: int
) -> None:
    """After a crash pg_net's ids start anew, and old ids pair with new answers."""
    answer(answered, 400, OURS % "invalid_request", seconds, request_)
    assert answered.service("sweep")["refused"] == 0


def test_a_refusal_counts_no_more_once_another_nudge_was_sent(answered: Database) -> None:
    """A sweep that lists refusals may come to the event only after another has taken them back."""
    answer(answered, 400, OURS % "invalid_request")
    (listed,) = answered.rows("select refused::text from memoria.repairs()")
    answered.do(
        "insert into memoria.dispatches (service, kind, job_id, event_id, media_id)"
        " select service, kind, job_id, event_id, media_id from memoria.dispatches"
    )
    repaired = answered.value("select memoria.repair_event('party', %s, '{}')", listed)
    assert repaired["refused"] == 0
    assert answered.value("select status from memoria.media") == "pending"


# a picture is its bytes


def test_a_photo_pointed_elsewhere_while_it_is_looked_at_is_looked_at_again(db: Database) -> None:
    claim = db.service.claim(db.service.enqueue("m1"))
    db.service.enqueue("m1", path="new.jpg")
    stored = db.service.complete(claim, [(0.1, 0.1, 0.2, 0.2)])
    assert stored == {"outcome": "skipped", "reason": "moved"}
    assert db.value("select count(*) from memoria.faces") == 0
    (job,) = db.dispatched("process")
    claim = db.service.claim(job)
    assert claim["path"] == "new.jpg"
    assert db.service.complete(claim)["outcome"] == "stored"


def test_an_event_that_cannot_be_grouped_is_never_done(db: Database) -> None:
    db.service.process("m1")
    for _ in range(5):
        claim = cluster(db)
        db.service.fail(claim, code="internal_error")
    status = db.service("event_status", event_id="party")
    assert (status["clustering"], status["done"]) == ("failed", False)
    assert status["clustering_error"]["code"] == "internal_error"
    db.service("recluster", event_id="party")
    save(db, cluster(db))
    status = db.service("event_status", event_id="party")
    assert (status["clustering"], status["done"]) == ("idle", True)


# clustering under a trickle


def test_a_trickle_of_photos_is_grouped_after_a_minute_then_two_then_four(db: Database) -> None:
    ahead = (
        "select round(extract(epoch from run_after - clock_timestamp()))::int from memoria.jobs"
        " where kind = 'cluster' and status = 'queued'"
    )
    db.service.enqueue("never done")
    waits = []
    for n in range(6):
        db.service.process(f"m{n}")
        waits.append(db.value(ahead))
        db.do(
            "update memoria.jobs set run_after = clock_timestamp(), no_later_than = now()"
            " where kind = 'cluster' and status = 'queued'"
        )
        db.service("sweep")
        (job,) = db.dispatched("cluster")
        saved = save(db, db.service.claim(job, kind="cluster"))
        assert (saved["pending"], saved["complete"]) == (1, False)
    assert waits == [60, 120, 240, 480, 900, 900]
    payload = db.rows(
        "select payload from memoria.jobs where kind = 'callback' and media_id is null"
    )[0]
    assert (payload["pending"], payload["complete"]) == (1, False)


def test_a_run_that_takes_long_is_not_repeated_all_the_time(db: Database) -> None:
    db.service.enqueue("never done")
    db.service.process("m1")
    db.do("update memoria.events set last_run_seconds = 30")
    db.do("delete from memoria.jobs where kind = 'cluster'")
    db.service.process("m2")
    ahead = "select run_after - clock_timestamp() from memoria.jobs where kind = 'cluster'"
    assert 250 < db.value(ahead).total_seconds() <= 300


# nothing that is due is waited for


def test_a_worker_hands_out_the_run_when_the_quiet_period_ends(db: Database) -> None:
    db.configure(quiet_period_seconds=1)
    db.service("sweep")
    db.service.process("m1")
    told = db.service("sweep_if_due")
    assert told["swept"] is False
    assert 0 < told["again_in_seconds"] <= 1
    db.do("select pg_sleep(%s)", told["again_in_seconds"] + 0.05)
    assert db.service("sweep_if_due")["dispatched"] == 1
    assert len(db.dispatched("cluster")) == 1


def test_workers_sweep_where_nobody_has_for_a_while_and_then_leave_it(db: Database) -> None:
    db.service.enqueue("m1")
    assert db.service("sweep_if_due")["swept"] is True
    assert db.service("sweep_if_due")["swept"] is False
    db.do("update memoria.sweeps set swept_at = swept_at - interval '31 seconds'")
    db.expire("dispatched")
    assert db.service("sweep_if_due")["swept"] is True
    assert db.value("select count(*) from memoria.dispatches") == 2
