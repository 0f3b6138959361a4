import json
import os
from collections import Counter
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from tests.database.caller import Database, result

BULK = (
    "insert into memoria.media (id, event_id, bucket, path)"
    " select event || n, event, 'photos', event || '/' || n"
    " from generate_series(1, %s) as n, unnest(%s::text[]) as event"
)


def bulk_insert(db: Database, photos: int, *events: str) -> None:
    for event in events:
        db.service("create_event", event_id=event)
    db.do(BULK, photos, list(events))


def test_a_bulk_insert_of_ten_thousand_sends_no_more_than_the_limit(db: Database) -> None:
    db.configure(max_in_flight={"process": 7})
    bulk_insert(db, 10_000, "party")
    assert db.value("select count(*) from memoria.jobs") == 10_000
    assert len(db.dispatched("process")) == 7
    assert db.value("select count(*) from memoria.dispatches") == 7


def test_a_completion_hands_out_the_next(db: Database) -> None:
    db.configure(max_in_flight={"process": 3})
    bulk_insert(db, 10, "party")
    seen = []
    while jobs := db.dispatched("process"):
        assert len(jobs) == min(3, 10 - len(seen))
        seen.append(jobs[0]["media_id"])
        db.service.complete(db.service.claim(jobs[0]))
    assert len(set(seen)) == 10


def test_a_small_event_does_not_wait_behind_a_large_one(db: Database) -> None:
    db.configure(max_in_flight={"process": 4})
    bulk_insert(db, 1_000, "large")
    bulk_insert(db, 4, "small")
    order = []
    for _ in range(12):
        job = db.dispatched("process")[0]
        order.append(job["event_id"])
        db.service.complete(db.service.claim(job))
    assert Counter(order)["small"] == 4


def test_events_take_turns_even_with_one_place(db: Database) -> None:
    db.configure(max_in_flight={"process": 1})
    bulk_insert(db, 50, "a", "b", "c")
    order = []
    for _ in range(9):
        (job,) = db.dispatched("process")
        order.append(job["event_id"])
        db.service.complete(db.service.claim(job))
    assert sorted(order[:3]) == ["a", "b", "c"]
    assert order[:3] * 3 == order


def test_within_an_event_the_first_come_are_the_first_served(db: Database) -> None:
    db.configure(max_in_flight={"process": 1})
    for media in ("z", "y", "x"):
        db.service.enqueue(media)
    order = []
    for _ in range(3):
        (job,) = db.dispatched("process")
        order.append(job["media_id"])
        db.service.complete(db.service.claim(job))
    assert order == ["z", "y", "x"]


def test_nothing_is_sent_when_the_transaction_is_rolled_back(db: Database) -> None:
    db.service("create_event", event_id="party")
    with db.admin.transaction(force_rollback=True):
        db.do(BULK, 3, ["party"])
    assert db.value("select count(*) from memoria.dispatches") == 0
    assert db.value("select count(*) from memoria.wakeups") == 0


def test_many_statements_in_one_transaction_dispatch_once_at_its_end(db: Database) -> None:
    db.service("create_event", event_id="party")
    with db.admin.transaction():
        for n in range(20):
            db.do(
                "insert into memoria.media (id, event_id, bucket, path)"
                " values (%s, 'party', 'photos', 'x')",
                f"m{n}",
            )
        assert db.value("select count(*) from memoria.wakeups") == 1
        assert db.value("select count(*) from memoria.dispatches") == 0
    assert db.value("select count(*) from memoria.dispatches") == 20
    assert db.value("select count(*) from memoria.wakeups") == 0


def test_an_old_snapshot_leaves_dispatching_to_the_sweeper(db: Database) -> None:
    db.service("create_event", event_id="party")
    with psycopg.connect(db.url) as serializable:
        serializable.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        serializable.execute(BULK, (3, ["party"]))
    assert db.dispatched("process") == []
    assert db.service("sweep")["dispatched"]["process"] == 3


def test_an_archived_event_is_not_handed_out(db: Database) -> None:
    db.configure(max_in_flight={"process": 0})
    db.service.enqueue("m1")
    db.do("update memoria.events set status = 'archived'")
    db.configure(max_in_flight={"process": 5})
    assert db.dispatched("process") == []


READS = (
    "select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int"
    " from pg_stat_xact_user_tables where schemaname = 'memoria'"
)


def rows_read(db: Database, command: str, *arguments: object) -> int:
    """How many rows of our tables one command reads, with what it leaves to the commit."""
    with db.admin.transaction(force_rollback=True):
        before = int(db.value(READS))
        db.do(command, *arguments)
        db.do("set constraints all immediate")
        return int(db.value(READS)) - before


def test_the_cost_of_a_bulk_insert_per_row_is_flat(db: Database) -> None:
    db.service("create_event", event_id="party")
    db.do("analyze")
    few, many = (rows_read(db, BULK, n, ["party"]) / n for n in (1_000, 10_000))
    assert many < 1.2 * few  # rows that were rolled back are read past
    plan = "\n".join(db.rows("explain (analyze, costs off) " + BULK, 10_000, ["party"]))
    assert "Trigger queue_inserted_media: " in plan
    assert plan.split("Trigger queue_inserted_media: ")[1].split("calls=")[1].startswith("1")
    assert "Trigger dispatch_at_commit" not in plan


def test_handing_out_the_next_costs_the_same_however_long_the_queue(db: Database) -> None:
    db.configure(max_in_flight={"process": 4})
    bulk_insert(db, 100, "party")
    db.service.complete(db.service.claim(db.dispatched("process")[0]))
    db.do("update memoria.settings set value = '{\"process\": 5}' where key = 'max_in_flight'")
    dispatch = "select memoria.dispatch('process')"
    short = rows_read(db, dispatch)
    db.do(
        "insert into memoria.media (id, event_id, bucket, path)"
        " select 'more' || n, 'party', 'photos', 'x' from generate_series(1, 10000) as n"
    )
    db.do("update memoria.settings set value = '{\"process\": 6}' where key = 'max_in_flight'")
    long = rows_read(db, dispatch)
    assert 0 < long <= short + 5


def test_dispatching_uses_its_indexes(db: Database) -> None:
    bulk_insert(db, 2_000, "a", "b")
    before = db.rows("select seq_scan from pg_stat_xact_user_tables where relname = 'jobs'")
    with db.admin.transaction():
        db.do("select memoria.dispatch('process')")
        after = db.rows("select seq_scan from pg_stat_xact_user_tables where relname = 'jobs'")
    assert (before, after) == ([0], [0])


def fill(db: Database, photos: int, events: int) -> None:
    """Photos of many events in one statement, as an app's bulk insert makes them."""
    db.do("insert into memoria.events (id) select 'e' || n from generate_series(1, %s) n", events)
    db.do(
        "insert into memoria.media (id, event_id, bucket, path)"
        " select 'e' || n || '-' || i, 'e' || n, 'photos', 'x'"
        " from generate_series(1, %s) as n, generate_series(1, %s) as i",
        events, photos,
    )  # fmt: skip


@pytest.mark.parametrize("known", ["analyzed", "without statistics"])
def test_a_completion_costs_the_same_however_many_events_wait(db: Database, known: str) -> None:
    """Before: 4.5 ms at 1 event, 193 ms at 10,000."""
    db.configure(max_in_flight={"process": 4}, callbacks=False)
    reads = []
    for events in (1, 3_000):
        fill(db, 5, events) if events > 1 else bulk_insert(db, 20, "first")
        if known == "analyzed":
            db.do("analyze")
        for _ in range(4):  # each event's first turn comes before any second
            db.service.complete(db.service.claim(db.dispatched("process")[0]))
        claim = db.service.claim(db.dispatched("process")[0])
        complete = "select public.memoria_complete_media(%s, %s, %s)"
        reads.append(rows_read(db, complete, claim["job_id"], claim["token"], json.dumps(result())))
    assert reads[1] <= reads[0] + 30, reads


@pytest.mark.parametrize("known", ["analyzed", "without statistics"])
def test_what_an_owner_has_waiting_is_counted_without_reading_others(
    db: Database, known: str
) -> None:
    """Before, each photo of a user read all that waited of everybody: 30,001 rows here."""
    db.do("insert into memoria.events (id, owner_id) select 'mine' || n, %s"
          " from generate_series(1, 3) as n", UUID(int=1))  # fmt: skip
    bulk_insert(db, 30, "mine1", "mine2")
    fill(db, 5, 3_000)
    if known == "analyzed":
        db.do("analyze")
    assert rows_read(db, "select memoria.check_pending('mine1', 1)") < 100
    db.do("update memoria.settings set value = '30' where key = 'max_pending_per_owner'")
    with pytest.raises(psycopg.Error, match="max_pending_per_owner is 30"):
        db.do("select memoria.check_pending('mine3', 1)")
    db.do("select memoria.check_pending('e1', 25)")


def test_a_bulk_insert_over_many_events_reads_as_many_rows_as_one_into_one(db: Database) -> None:
    """Before: 10,000 events of 5 photos took 316 s in the commit, one of 50,000 2.7 s."""
    db.configure(max_in_flight={"process": 32})
    reads = []
    for n, (events, photos) in enumerate(((1, 4_000), (800, 5))):
        db.do(
            "insert into memoria.events (id) select %s || n from generate_series(1, %s) n",
            f"{n}-", events,
        )  # fmt: skip
        reads.append(rows_read(
            db,
            "insert into memoria.media (id, event_id, bucket, path)"
            " select %s || n || '-' || i, %s || n, 'photos', 'x'"
            " from generate_series(1, %s) as n, generate_series(1, %s) as i",
            f"{n}-", f"{n}-", events, photos,
        ))  # fmt: skip
    assert reads[1] < 3 * reads[0], reads


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux's /proc")
def test_statistics_of_few_events_do_not_make_a_bulk_insert_into_many_slow(db: Database) -> None:
    """Before: every photo was compared with every event, 3,000 × 5 photos took 30 s."""
    bulk_insert(db, 20, "first")
    db.do("analyze")
    seconds = []
    for events in (1, 3_000):
        db.do("delete from memoria.events where id like 'e%%'")
        db.do("discard plans")  # of the foreign keys, which a connection makes once
        before = _cpu_seconds(db)
        fill(db, 3_000 // events, events)
        seconds.append(_cpu_seconds(db) - before)
    assert seconds[1] < 4 * seconds[0], seconds


def _cpu_seconds(db: Database) -> float:
    """What the connection's server process has computed, however busy the machine is."""
    stat = Path(f"/proc/{db.admin.info.backend_pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def owned(db: Database, media: str, event: str, owner: UUID) -> None:
    db.service("create_event", event_id=event, owner_id=owner)
    db.service.enqueue(media, event)


def test_no_owner_has_more_than_half_the_places_while_another_waits(db: Database) -> None:
    db.configure(max_in_flight={"process": 8})
    rich, poor = UUID(int=1), UUID(int=2)
    for n in range(40):
        owned(db, f"rich{n}", f"rich{n % 10}", rich)
    assert len(db.dispatched("process")) == 8  # alone they may have them all
    for n in range(20):
        owned(db, f"poor{n}", "poor", poor)
    for _ in range(12):
        job = db.dispatched("process")[0]
        db.service.complete(db.service.claim(job))
    events = [job["event_id"] for job in db.dispatched("process")]
    assert sum(event == "poor" for event in events) == 4
    assert len(events) == 8


def test_turns_go_by_owner_then_by_event(db: Database) -> None:
    db.configure(max_in_flight={"process": 1})
    for n in range(3):
        owned(db, f"a{n}", f"a{n}", UUID(int=1))
        owned(db, f"b{n}", "b", UUID(int=2))
    order = []
    for _ in range(6):
        (job,) = db.dispatched("process")
        order.append(job["event_id"])
        db.service.complete(db.service.claim(job))
    assert [event[0] for event in order[1:]] in (["b", "a", "b", "a", "b"], ["b", "a"] * 3)
