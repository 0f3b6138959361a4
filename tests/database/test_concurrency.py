"""Thirty connections at once: what must happen once does, and nobody waits in a circle."""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest

from tests.database.caller import Caller, Database, Json

CONNECTIONS = 30


@pytest.fixture
def callers(db: Database) -> list[Caller]:
    return [db.caller("service_role") for _ in range(CONNECTIONS)]


def at_once(callers: list[Caller], work: Callable[[int, Caller], Json]) -> list[Json]:
    """Runs the same work on every connection, all starting at the same instant."""
    barrier = Barrier(len(callers))

    def start(numbered: tuple[int, Caller]) -> Json:
        barrier.wait()
        return work(*numbered)

    with ThreadPoolExecutor(len(callers)) as pool:
        return list(pool.map(start, enumerate(callers)))


def watch_in_flight(db: Database) -> None:
    """Records how many are in flight right after each hand-out, under the dispatcher's lock."""
    db.do("create table public.peaks (kind text, in_flight bigint)")
    db.do(
        "create function public.watch() returns trigger language plpgsql security definer as $$"
        " begin insert into public.peaks"
        " select kind, memoria.in_flight(kind) from handed_out group by kind; return null; end $$"
    )
    db.do(
        "create trigger watch after insert on memoria.dispatches"
        " referencing new table as handed_out for each statement execute function public.watch()"
    )


def test_of_the_last_two_photos_at_the_same_instant_one_starts_the_clustering(
    db: Database, callers: list[Caller]
) -> None:
    claims = [
        db.service.claim(db.service.enqueue(f"m{n}", f"event{n // 2}")) for n in range(CONNECTIONS)
    ]
    stored = at_once(callers, lambda n, caller: caller.complete(claims[n]))
    assert {answer["outcome"] for answer in stored} == {"stored"}
    clusters = Counter(db.rows("select event_id from memoria.jobs where kind = 'cluster'"))
    assert clusters == {f"event{n}": 1 for n in range(CONNECTIONS // 2)}


def test_thirty_last_photos_of_one_event_start_one_clustering(
    db: Database, callers: list[Caller]
) -> None:
    db.configure(quiet_period_seconds=0)
    claims = [db.service.claim(db.service.enqueue(f"m{n}")) for n in range(CONNECTIONS)]

    def finish(n: int, caller: Caller) -> Json:
        return caller.fail(claims[n], terminal=True) if n % 2 else caller.complete(claims[n])

    at_once(callers, finish)
    assert db.rows("select status from memoria.jobs where kind = 'cluster'") == ["dispatched"]


def test_thirty_completions_at_once_do_not_overshoot(db: Database, callers: list[Caller]) -> None:
    watch_in_flight(db)
    db.configure(max_in_flight={"process": CONNECTIONS, "callback": 5})
    for event in ("a", "b", "c"):
        db.service("create_event", event_id=event)
    db.do(
        "insert into memoria.media (id, event_id, bucket, path)"
        " select event || n, event, 'photos', 'x'"
        " from generate_series(1, 3400) as n, unnest(array['a', 'b', 'c']) as event"
    )
    for _ in range(6):
        jobs = db.dispatched("process")
        assert len(jobs) == CONNECTIONS
        claims = [db.service.claim(job) for job in jobs]
        at_once(callers, lambda n, caller, claims=claims: caller.complete(claims[n]))
    peaks = Counter(db.rows("select in_flight from public.peaks where kind = 'process'"))
    assert max(peaks) == CONNECTIONS
    assert db.value("select count(*) from memoria.media where status = 'completed'") == 180


def test_bulk_inserts_and_completions_from_everywhere_do_not_overshoot(
    db: Database, callers: list[Caller]
) -> None:
    watch_in_flight(db)
    db.configure(max_in_flight={"process": 4}, callbacks=False)

    def work(n: int, caller: Caller) -> Json:
        for turn in range(6):
            caller.enqueue(f"m{n}-{turn}", f"event{(n + turn) % 7}")
            for job in random.Random(n).sample(db_jobs(caller), k=1):
                claim = caller.claim(job)
                if claim["outcome"] == "claimed":
                    caller.complete(claim)
        return {}

    def db_jobs(caller: Caller) -> list[Json]:
        with psycopg.connect(db.url, autocommit=True) as looker:
            found = looker.execute(
                "select id, event_id, media_id from memoria.jobs"
                " where kind = 'process' and status in ('queued', 'dispatched')"
                " order by id limit 50"
            ).fetchall()
        found = found or [("none", "none", "none")]
        return [{"job_id": str(j), "event_id": e, "media_id": m} for j, e, m in found]

    at_once(callers, work)
    assert max(db.rows("select in_flight from public.peaks")) <= 4
    assert db.value("select memoria.in_flight('process')") <= 4


def test_a_job_claimed_by_thirty_runs_once(db: Database, callers: list[Caller]) -> None:
    job = db.service.enqueue("m1")
    outcomes = at_once(callers, lambda _, caller: caller.claim(job))
    assert Counter(answer["outcome"] for answer in outcomes) == {"claimed": 1, "skipped": 29}


def test_a_result_stored_by_thirty_is_stored_once(db: Database, callers: list[Caller]) -> None:
    claim = db.service.claim(db.service.enqueue("m1"))
    outcomes = at_once(callers, lambda _, caller: caller.complete(claim, [(0.1, 0.1, 0.2, 0.2)]))
    assert Counter(answer["outcome"] for answer in outcomes) == {"stored": 1, "skipped": 29}
    assert db.value("select count(*) from memoria.faces") == 1


def test_thirty_sweeps_at_once_count_nothing_twice(db: Database, callers: list[Caller]) -> None:
    for n in range(20):
        db.service.claim(db.service.enqueue(f"m{n}"))
    db.expire("running")
    reports = at_once(callers, lambda _, caller: caller("sweep"))
    assert sum(report["runs_expired"] for report in reports) == 20
    assert Counter(db.rows("select deaths from memoria.jobs")) == {1: 20}


def test_everything_at_once_never_deadlocks(db: Database, callers: list[Caller]) -> None:
    db.configure(quiet_period_seconds=0, max_in_flight={"process": 10, "cluster": 3})
    events = [f"event{n}" for n in range(4)]

    def work(n: int, caller: Caller) -> Json:
        chance = random.Random(n)
        refused: Json = {}
        for turn in range(25):
            event, media = chance.choice(events), f"m{chance.randrange(12)}"
            try:
                _act(caller, chance, event, f"{event}-{media}", turn)
            except psycopg.errors.DeadlockDetected:
                raise
            except psycopg.Error as error:
                refused[str(error.sqlstate)] = refused.get(str(error.sqlstate), 0) + 1
        return refused

    refusals: Counter[str] = Counter()
    for refused in at_once(callers, work):
        refusals.update(refused)
    # archived or unknown
    assert set(refusals) <= {"PT409", "PT404"}, refusals
    for _ in range(2):
        db.expire("running")
        db.expire("dispatched")
        db.service("sweep")
    assert db.value("select count(*) from memoria.wakeups") == 0


def _act(caller: Caller, chance: random.Random, event: str, media: str, turn: int) -> None:
    deed = chance.choice(
        ["enqueue"] * 6 + ["process"] * 6
        + ["sweep", "recluster", "reprocess", "archive", "reopen", "delete", "requeue", "status"]
    )  # fmt: skip
    if deed == "enqueue":
        caller.enqueue(media, event)
    elif deed == "process":
        claim = caller.claim(caller.enqueue(media, event))
        if claim["outcome"] == "claimed":
            caller("heartbeat", job_id=claim["job_id"], token=claim["token"])
            if chance.random() < 0.3:
                caller.fail(claim, terminal=chance.random() < 0.5)
            else:
                caller.complete(claim, [(0.1, 0.1, 0.2, 0.2)])
    elif deed == "delete":
        caller("delete_event" if turn % 8 == 0 else "delete_media",
               **({"event_id": event} if turn % 8 == 0 else {"media_id": media}))  # fmt: skip
    elif deed in {"sweep", "requeue"}:
        caller(deed)
    else:
        name = {"archive": "archive_event", "reopen": "reopen_event", "status": "event_status"}
        caller(name.get(deed, deed), event_id=event)
