"""What is told through Supabase Realtime, with Realtime's part of the database as it is there."""

import json
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from local.processes.postgres import Postgres
from local.supabase.migrations import apply_migrations
from memoria.cli.diagnosis import diagnose
from tests.answers import check
from tests.database.caller import Database, Json
from tests.database.test_all_done import cluster, save

REALTIME = (Path(__file__).parent / "realtime.sql").read_text()
OWNER, STRANGER = UUID(int=10), UUID(int=11)
POLICY = "memoria: who may see an event may follow it"
_NUMBERS = count()


def add_realtime(server: Postgres, name: str) -> None:
    with psycopg.connect(server.url_of(name, "supabase_admin"), autocommit=True) as connection:
        connection.execute(REALTIME.encode())


@pytest.fixture
def live(db: Database) -> Database:
    """A project whose Realtime came after Memoria; the next memoria_configure lets users in."""
    add_realtime(db.server, db.name)
    db.configure(quiet_period_seconds=0)
    return db


@pytest.fixture
def late(postgres_server: Postgres) -> Iterator[Database]:
    """The usual order: Realtime was there before Memoria."""
    name = f"realtime_{next(_NUMBERS)}"
    url = postgres_server.create_database(name)
    add_realtime(postgres_server, name)
    apply_migrations(url)
    database = Database(postgres_server, name)
    yield database
    database.close()
    postgres_server.drop_database(name)


def told(db: Database) -> list[Json]:
    """Every message so far, each as it is published."""
    messages = []
    for topic, private, event, payload in db.rows(
        "select topic, private, event, payload from realtime.messages order by inserted_at, ctid"
    ):
        assert private
        messages.append({"event": event, "payload": payload})
        check("realtime", "message", messages[-1])
        messages[-1]["topic"] = topic
    return messages


def of(db: Database, event: str) -> list[Json]:
    return [message["payload"] for message in told(db) if message["event"] == event]


def test_progress_is_told_once_a_second_and_at_the_end(live: Database) -> None:
    jobs = [live.service.enqueue(f"m{number}") for number in range(6)]
    for job in jobs:
        live.service.complete(live.service.claim(job))
    pending = [payload["photos"]["pending"] for payload in of(live, "progress")]
    assert pending[0] == 5
    assert pending[-1] == 0
    took = live.value("select extract(epoch from counted_at - created_at) from memoria.events")
    assert len(pending) <= 2 + int(took)
    assert {message["topic"] for message in told(live)} == {"memoria:party"}


def test_a_second_later_progress_is_told_again(live: Database) -> None:
    jobs = [live.service.enqueue(f"m{number}") for number in range(3)]
    for job in jobs:
        live.do("update memoria.events set counted_at = counted_at - interval '1 second'")
        live.service.complete(live.service.claim(job))
    assert [payload["photos"]["pending"] for payload in of(live, "progress")] == [2, 1, 0]


def test_a_large_event_is_counted_less_often(live: Database) -> None:
    jobs = [live.service.enqueue(f"m{number}") for number in range(3)]
    live.service.complete(live.service.claim(jobs[0]))
    live.do(
        "update memoria.events set counts = jsonb_set(counts, '{total}', '100000'),"
        " counted_at = counted_at - interval '5 seconds'"
    )
    live.service.complete(live.service.claim(jobs[1]))
    assert len(of(live, "progress")) == 1
    live.service.complete(live.service.claim(jobs[2]))
    assert of(live, "progress")[-1]["photos"]["pending"] == 0


def test_an_end_that_nobody_waited_for_is_told(live: Database) -> None:
    live.service.enqueue("m1")
    live.service("archive_event", event_id="party")
    counts = {"total": 1, "pending": 0, "completed": 0, "failed": 1, "waiting": 0}
    assert [payload["photos"] for payload in of(live, "progress")] == [counts]


def test_a_photo_that_fails_and_people_are_told_without_ids_of_people(live: Database) -> None:
    box = (0.25, 0.125, 0.25, 0.25)
    live.service.process("m1", [box])
    live.service.fail(live.service.claim(live.service.enqueue("m2")), terminal=True)
    save(live, cluster(live))
    [failed], [people] = of(live, "photo_failed"), of(live, "people")
    assert (failed["media_id"], failed["code"]) == ("m2", "unreadable_media")
    assert (people["people"], people["faces"], people["complete"]) == (0, 1, True)
    status = live.service("event_status", event_id="party")
    assert people["clustered_at"] == status["clustered_at"]
    assert people["photos"] == status["photos"]
    text = json.dumps(told(live))
    assert all(str(face) not in text for face in live.rows("select id from memoria.faces"))


REFUSALS = {
    "no partition": "drop table realtime.messages_today",
    "no right": "revoke insert on realtime.messages from postgres",
    "another signature": "drop function realtime.send",
    "send raises": "create or replace function realtime.send(payload jsonb, event text, topic text,"
    " private boolean default true) returns void language plpgsql as"
    " $$ begin raise exception 'out of order'; end $$",
}


@pytest.mark.parametrize("why", REFUSALS)
def test_what_cannot_be_sent_fails_nothing(live: Database, why: str) -> None:
    with psycopg.connect(live.server.url_of(live.name, "supabase_admin"), autocommit=True) as admin:
        admin.execute(REFUSALS[why].encode())
    assert live.service.process("m1")["outcome"] == "stored"
    failed = live.service.fail(live.service.claim(live.service.enqueue("m2")), terminal=True)
    assert failed["outcome"] == "failed"
    assert save(live, cluster(live))["outcome"] == "stored"
    assert live.service("event_status", event_id="party")["photos"]["failed"] == 1


def test_a_table_that_is_locked_is_not_waited_for(live: Database) -> None:
    """Realtime makes a partition a day, which locks its table."""
    with psycopg.connect(live.server.url_of(live.name, "supabase_admin")) as other:
        other.execute("lock table realtime.messages in access exclusive mode")
        started = time.monotonic()
        assert live.service.process("m1")["outcome"] == "stored"
        assert time.monotonic() - started < 10
        other.rollback()
    assert told(live) == []


def test_events_that_end_at_once_do_not_wait_for_each_other(live: Database) -> None:
    first = live.service.claim(live.service.enqueue("m1", "one"))
    second = live.service.claim(live.service.enqueue("m2", "two"))
    with psycopg.connect(live.url) as open_transaction:
        open_transaction.execute("select memoria.tell_progress('one')")
        locks = open_transaction.execute(
            "select distinct mode from pg_locks join pg_class on pg_class.oid = relation"
            " where pid = pg_backend_pid() and relnamespace = 'realtime'::regnamespace"
        ).fetchall()
        assert set(locks) == {("AccessShareLock",), ("RowExclusiveLock",)}
        live.do("set lock_timeout = '10s'")
        assert live.service.complete(second)["outcome"] == "stored"
    assert live.service.complete(first)["outcome"] == "stored"


def may_follow(db: Database, role: str, user: UUID | None, topic: str) -> bool:
    """Whether Realtime lets somebody in: it reads its table with their rights."""
    claims = json.dumps({"role": role, "sub": str(user) if user else None})
    with psycopg.connect(db.url) as connection:
        connection.execute(
            "insert into realtime.messages (topic, extension, event)"
            " select %s, unnest(array['broadcast', 'presence']), 'x'",
            (topic,),
        )
        connection.execute(
            "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true),"
            " set_config('realtime.topic', %s, true)",
            (role, claims, topic),
        )
        seen = connection.execute("select extension from realtime.messages").fetchall()
        connection.rollback()
    assert ("presence",) not in seen
    return bool(seen)


@pytest.mark.parametrize("order", ["live", "late"])
def test_who_may_see_an_event_may_follow_it(order: str, request: pytest.FixtureRequest) -> None:
    db: Database = request.getfixturevalue(order)
    db.service("create_event", event_id="gala", owner_id=OWNER)
    assert may_follow(db, "authenticated", OWNER, "memoria:gala")
    assert not may_follow(db, "authenticated", OWNER, "memoria:other")
    assert not may_follow(db, "authenticated", OWNER, "gala")
    assert not may_follow(db, "authenticated", OWNER, "another:gala")
    assert not may_follow(db, "authenticated", OWNER, "")
    assert not may_follow(db, "authenticated", STRANGER, "memoria:gala")
    assert not may_follow(db, "anon", None, "memoria:gala")
    realtime = db.service("doctor")["realtime"]
    assert realtime == {"sends": True, "may_be_followed": True}


def test_setting_up_twice_makes_one_policy_and_an_apps_own_is_left_alone(live: Database) -> None:
    live.configure(quiet_period_seconds=0)
    named = "select policyname from pg_policies where schemaname = 'realtime'"
    assert live.rows(named) == [POLICY]
    live.do(f'alter policy "{POLICY}" on realtime.messages rename to "mine"')
    live.configure(quiet_period_seconds=0)
    assert live.rows(named) == ["mine"]


def finding(db: Database) -> str:
    """What ``memoria doctor`` says of it."""
    told = db.service("doctor")
    return next(line for line in map(str, diagnose(told)) if "realtime:" in line)


def test_doctor_says_who_hears_of_events(db: Database) -> None:
    assert db.service.process("m1")["outcome"] == "stored"
    assert finding(db).startswith("note ")
    add_realtime(db.server, db.name)
    assert "no policy lets users follow them; select public.memoria_configure" in finding(db)
    db.configure(quiet_period_seconds=0)
    assert finding(db).startswith("ok ")


def test_a_user_asks_as_the_policy_does(db: Database) -> None:
    db.service("create_event", event_id="gala", owner_id=OWNER)
    answers: dict[UUID, Any] = {
        user: db.caller("authenticated", user)("may_follow", topic="memoria:gala")
        for user in (OWNER, STRANGER)
    }
    assert answers == {OWNER: True, STRANGER: False}
