import pytest

from tests.database.caller import Database
from tests.database.test_dispatch import fill, rows_read


def test_a_lost_nudge_costs_no_attempt(db: Database) -> None:
    job = db.service.enqueue("m1")
    for _ in range(10):
        db.expire("dispatched")
        assert db.service("sweep")["nudges_expired"] == 1
    assert db.rows("select status, attempts from memoria.jobs") == [("dispatched", 0)]
    assert db.value("select count(*) from memoria.dispatches") == 11
    assert db.service.claim(job)["attempt"] == 1


def test_a_worker_that_fell_silent_costs_no_attempt_but_is_counted(db: Database) -> None:
    job = db.service.enqueue("m1")
    db.service.claim(job)
    db.expire("running")
    assert db.service("sweep")["runs_expired"] == 1
    assert db.rows("select status, attempts, deaths, error_code from memoria.jobs") == [
        ("queued", 0, 1, "lease_expired")
    ]
    db.hurry()
    db.service("sweep")
    assert db.service.claim(job)["attempt"] == 2


def test_a_sweep_leaves_alone_what_is_well(db: Database) -> None:
    db.service.claim(db.service.enqueue("m1"))
    db.service.enqueue("m2")
    before = db.rows("select to_jsonb(j) from memoria.jobs j order by id")
    report = db.service("sweep")
    assert report.pop("dispatched") == {"process": 0, "cluster": 0, "callback": 0}
    assert set(report.values()) == {0}
    assert db.rows("select to_jsonb(j) from memoria.jobs j order by id") == before


BROKEN = """
create function pg_temp.break() returns trigger language plpgsql as $$
begin
  raise exception 'this event is broken';
end
$$;
create trigger broken before update on memoria.jobs
for each row when (new.event_id = 'a broken one') execute function pg_temp.break();
"""


def test_what_cannot_be_repaired_keeps_no_other_event_from_it(db: Database) -> None:
    for event in ("a broken one", "party"):
        db.service.claim(db.service.enqueue(f"of {event}", event))
    db.expire("running")
    db.do(BROKEN)
    assert db.service("sweep")["runs_expired"] == 1
    assert db.rows("select event_id, status from memoria.jobs order by event_id") == [
        ("a broken one", "running"), ("party", "queued"),
    ]  # fmt: skip


def test_a_locked_event_is_left_for_the_next_sweep(db: Database) -> None:
    db.service.claim(db.service.enqueue("m1"))
    db.expire("running")
    with db.admin.transaction():
        db.do("select * from memoria.lock_event('party')")
        assert db.service("sweep")["runs_expired"] == 0
    assert db.service("sweep")["runs_expired"] == 1


@pytest.mark.parametrize("loss", ["delete from memoria.jobs", "triggers off"])
def test_a_photo_without_a_job_gets_one(db: Database, loss: str) -> None:
    if loss == "triggers off":  # as pg_restore --disable-triggers loads a dump
        db.service("create_event", event_id="party")
        db.do("alter table memoria.media disable trigger queue_inserted_media")
    db.do("insert into memoria.events (id) values ('party') on conflict do nothing")
    db.do("insert into memoria.media (id, event_id, bucket, path) values ('m1', 'party', 'b', 'p')")
    if loss != "triggers off":
        db.do(loss)
    assert db.service("sweep")["media_found"] == 1
    assert [job["media_id"] for job in db.dispatched("process")] == ["m1"]


def test_work_that_reached_an_archived_event_is_cancelled(db: Database) -> None:
    db.service("create_event", event_id="party")
    db.service("archive_event", event_id="party")
    db.do("insert into memoria.media (id, event_id, bucket, path) values ('m1', 'party', 'b', 'p')")
    assert db.rows("select status, error_code from memoria.media") == [("failed", "event_archived")]
    db.do("update memoria.media set status = 'pending', completed_at = null")
    db.do(
        "insert into memoria.jobs (kind, event_id, media_id, max_attempts)"
        " values ('process', 'party', 'm1', 5)"
    )
    assert db.service("sweep")["cancelled"] == 1
    assert db.rows("select status from memoria.jobs") == ["cancelled"]
    assert db.rows("select status, error_code from memoria.media") == [("failed", "event_archived")]


def test_what_an_archived_event_owes_the_app_outlives_the_sweep(db: Database) -> None:
    db.service.process("m1")
    db.service.enqueue("m2")
    db.service("archive_event", event_id="party")
    db.do("update memoria.jobs set status = 'queued', finished_at = null where media_id = 'm2'")
    assert db.service("sweep")["cancelled"] == 1
    unfinished = "select kind, media_id from memoria.jobs where finished_at is null"
    assert db.rows(unfinished) == [("callback", "m1")]


def test_old_dispatches_are_pruned(db: Database) -> None:
    db.service.enqueue("m1")
    db.do("update memoria.dispatches set created_at = created_at - interval '2 days'")
    db.service.enqueue("m2")
    assert db.service("sweep")["dispatches_pruned"] == 1
    assert db.rows("select media_id from memoria.dispatches") == ["m2"]


def test_an_outage_of_every_nudge_loses_nothing(db: Database) -> None:
    db.configure(max_in_flight={"process": 2})
    for n in range(6):
        db.service.enqueue(f"m{n}")
    for _ in range(20):  # nothing arrives
        db.expire("dispatched")
        db.service("sweep")
    done = 0
    while jobs := db.dispatched("process"):
        db.service.complete(db.service.claim(jobs[0]))
        done += 1
    assert done == 6
    assert db.service("event_status", event_id="party")["photos"]["completed"] == 6


def test_a_crash_that_empties_unlogged_tables_loses_nothing(db: Database) -> None:
    assert db.rows(
        "select relname from pg_class where relnamespace = 'memoria'::regnamespace"
        " and relkind = 'r' and relpersistence = 'u'"
    ) == ["arrivals", "wakeups"]
    db.configure(max_in_flight={"process": 1})
    db.service.enqueue("m1")
    with db.admin.transaction():
        db.do("insert into memoria.events (id) values ('late')")
        db.do(
            "insert into memoria.media (id, event_id, bucket, path) values ('l', 'late', 'b', 'p')"
        )
        db.do("set constraints all immediate")
        db.do("truncate memoria.wakeups, memoria.arrivals")
    db.do("delete from memoria.lanes")
    db.expire("dispatched")
    for _ in range(2):
        db.service("sweep")
        for job in db.dispatched("process"):
            db.service.complete(db.service.claim(job))
    assert db.value("select count(*) from memoria.media where status = 'completed'") == 2


PHOTOS = 1500


def test_after_a_large_upload_a_sweep_looks_each_photo_up_by_its_key(db: Database) -> None:
    """Before, it compared all with all until the tables were analyzed, and ran out of time."""
    fill(db, PHOTOS, events=1)
    assert rows_read(db, "select public.memoria_sweep()") < 10 * PHOTOS


def test_a_sweep_revives_a_thousand_jobs_and_reads_few_rows_for_each(db: Database) -> None:
    fill(db, PHOTOS, events=1)
    db.do(
        "update memoria.jobs set status = 'failed', leased_until = null,"
        " waiting_since = now() - interval '4 days', finished_at = now() - interval '1 hour'"
    )
    db.do("update memoria.media set status = 'failed'")
    db.do("update memoria.jobs set status = 'completed', finished_at = now() where id in ("
          " select id from memoria.jobs limit 1)")  # fmt: skip
    assert rows_read(db, "select public.memoria_sweep()") < 100 * PHOTOS
    assert [db.service("sweep")["revived"] for _ in range(3)] == [1000, PHOTOS - 1001, 0]


def test_what_a_sweep_reads_of_an_event_does_not_grow_with_the_events(db: Database) -> None:
    """Before, it asked for all that can be revived, of all events, once for each."""
    reads = []
    for events in (30, 120):
        fill(db, 1, events)
        db.do(
            "update memoria.jobs set kind = 'cluster', status = 'failed', leased_until = null,"
            " waiting_since = now() - interval '4 days', finished_at = now() - interval '1 hour'"
        )
        db.do("update memoria.media set status = 'failed'")
        db.do(
            "insert into memoria.jobs (kind, event_id, status, max_attempts, finished_at)"
            " values ('cluster', 'e1', 'completed', 5, now())"
        )
        reads.append(rows_read(db, "select public.memoria_sweep()") / events)
        db.do("delete from memoria.events")
    assert reads[1] < 1.5 * reads[0], reads


def test_a_thousand_jobs_are_given_back_in_one_call(db: Database) -> None:
    fill(db, PHOTOS, events=1)
    db.do("update memoria.jobs set status = 'failed', leased_until = null, finished_at = now()")
    told = [db.service("requeue", kind="process")["requeued"] for _ in range(3)]
    assert told == [1000, PHOTOS - 1000, 0]
