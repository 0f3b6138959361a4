"""The pg_cron stand-in: what it accepts, who runs a job, and the history that it keeps."""

import time
from collections.abc import Iterator

import psycopg
import pytest

from local.processes.postgres import Postgres
from local.supabase.cron import period, run_due


@pytest.fixture
def cron(postgres_server: Postgres) -> Iterator[psycopg.Connection]:
    url = postgres_server.create_database("scheduled")
    postgres_server.install("scheduled", "cron")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
    postgres_server.drop_database("scheduled")


@pytest.fixture
def admin(postgres_server: Postgres, cron: psycopg.Connection) -> Iterator[psycopg.Connection]:
    url = postgres_server.url_of("scheduled", "supabase_admin")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def schedule(cron: psycopg.Connection, when: str, command: str = "select 1") -> None:
    cron.execute("select cron.schedule('job', %s, %s)", (when, command))


@pytest.mark.parametrize(
    "when", ["30 seconds", "1 second", "* * * * *", "17 3 * * 1-5", "*/5 * 1,15 * *"]
)
def test_a_schedule_is_accepted_and_the_same_name_replaces(
    cron: psycopg.Connection, when: str
) -> None:
    schedule(cron, "0 0 1 1 *")
    schedule(cron, when)
    jobs = cron.execute("select schedule, username, active from cron.job").fetchall()
    assert jobs == [(when, "postgres", True)]


@pytest.mark.parametrize("when", ["60 seconds", "0 seconds", "1 minute", "* * * *", "", "hourly"])
def test_another_schedule_is_invalid(cron: psycopg.Connection, when: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="invalid schedule"):
        schedule(cron, when)


def test_an_old_one_knows_no_seconds(cron: psycopg.Connection, admin: psycopg.Connection) -> None:
    no_seconds(admin)
    with pytest.raises(psycopg.errors.RaiseException, match="invalid schedule: 30 seconds"):
        schedule(cron, "30 seconds")
    schedule(cron, "* * * * *")


def no_seconds(admin: psycopg.Connection) -> None:
    admin.execute(
        "create or replace function cron._knows_seconds() returns boolean"
        " language sql as 'select false'"
    )


def test_a_role_may_be_denied_it(cron: psycopg.Connection, admin: psycopg.Connection) -> None:
    admin.execute("revoke execute on function cron.schedule from postgres")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="for function schedule"):
        schedule(cron, "* * * * *")


def test_jobs_run_as_who_scheduled_them_and_leave_a_history(
    cron: psycopg.Connection, admin: psycopg.Connection
) -> None:
    cron.execute("create table public.ran as select session_user::text as by_whom")
    schedule(cron, "1 second", "insert into public.ran values (session_user)")
    cron.execute("select cron.schedule('bad', '1 second', 'select 1/0')")
    last: dict[int, float] = {}
    run_due(admin, last, speed=10)
    assert cron.execute("select count(*) from cron.job_run_details").fetchone() == (0,)
    time.sleep(0.11)
    run_due(admin, last, speed=10)
    assert cron.execute("select by_whom from public.ran").fetchall() == [("postgres",)] * 2
    history = "select status, return_message from cron.job_run_details order by runid"
    assert cron.execute(history).fetchall() == [
        ("succeeded", "INSERT 0 1"),
        ("failed", "ERROR: division by zero"),
    ]


def test_a_cron_line_names_its_minutes() -> None:
    minute = time.strptime("2026-11-25 03:17", "%Y-%m-%d %H:%M")  # a Wednesday
    assert period("30 seconds", minute) == 30
    for line in ("* * * * *", "17 3 * * *", "*/17 1-5 25 11 3", "1,17 * * * *"):
        assert period(line, minute) == 60
    for line in ("18 3 * * *", "17 3 * * 4", "*/2 * * * *"):
        assert period(line, minute) is None
