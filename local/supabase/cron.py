"""A stand-in for pg_cron's scheduler: ``python -m local.supabase.cron``.

Runs the jobs of ``cron.job`` as whoever scheduled them, one at a time, and keeps the history in
``cron.job_run_details``. ``LOCAL_CRON_SPEED`` says how many times faster than scheduled (for runs
with every time divided by one factor); ``LOCAL_DATABASE_URL`` is the superuser's.
"""

import contextlib
import os
import sys
import time
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

POLL_SECONDS = 0.25

_JOBS = "select jobid, schedule, command, username from cron.job where active order by jobid"
_STARTED = """
insert into cron.job_run_details (jobid, job_pid, database, username, command, status, start_time)
values (%(jobid)s, pg_backend_pid(), current_database(), %(username)s, %(command)s, 'running',
  clock_timestamp())
returning runid
"""
_ENDED = """
update cron.job_run_details set status = %s, return_message = %s, end_time = clock_timestamp()
where runid = %s
"""


def period(schedule: str, minute: time.struct_time) -> float | None:
    """Seconds between two runs of a schedule; None where this minute is none of its own."""
    fields = schedule.split()
    if fields[-1].startswith("second"):
        return float(fields[0])
    now = (minute.tm_min, minute.tm_hour, minute.tm_mday, minute.tm_mon, (minute.tm_wday + 1) % 7)
    return 60.0 if all(map(_holds, fields, now)) else None


def _holds(field: str, now: int) -> bool:
    """Whether one field of a cron line, ``*``, ``1-5``, ``*/10`` or a list, names this number."""
    for part in field.split(","):
        bounds, _, step = part.partition("/")
        low, _, high = bounds.partition("-")
        first, last = (0, 59) if bounds == "*" else (int(low), int(high or low))
        if first <= now <= last and (now - first) % int(step or 1) == 0:
            return True
    return False


def run_forever(database_url: str, speed: float) -> None:
    """Run what is due, for ever; a lost database is waited for."""
    last: dict[int, float] = {}
    while True:
        try:
            with psycopg.connect(database_url, autocommit=True) as connection:
                while True:
                    run_due(connection, last, speed)
                    time.sleep(min(POLL_SECONDS, 1 / speed))
        except psycopg.Error as exc:
            print(f"cron: {exc}", file=sys.stderr, flush=True)
            time.sleep(1)


def run_due(
    connection: psycopg.Connection[Any], last: dict[int, float], speed: float = 1.0
) -> None:
    """Each job whose time has come since its last start, which ``last`` keeps (monotonic)."""
    with connection.cursor(row_factory=dict_row) as cursor:
        jobs = cursor.execute(_JOBS).fetchall()
    for job in jobs:
        seconds = period(job["schedule"], time.gmtime())
        now = time.monotonic()
        started = last.setdefault(job["jobid"], now)  # the first run is one period from now
        if seconds is not None and now - started >= seconds / speed:
            last[job["jobid"]] = now
            _run(connection, job)


def _run(connection: psycopg.Connection[Any], job: dict[str, Any]) -> None:
    row = connection.execute(_STARTED, job).fetchone()
    assert row is not None
    status, message = "succeeded", ""
    try:
        with connection.transaction():
            user = sql.Identifier(job["username"])
            connection.execute(sql.SQL("set local session authorization {}").format(user))
            message = connection.execute(job["command"].encode()).statusmessage or ""
    except psycopg.Error as exc:
        if connection.broken:
            raise
        status, message = "failed", f"ERROR: {exc.diag.message_primary}"
        print(f"cron: {job['command']}: {exc}", file=sys.stderr, flush=True)
    connection.execute(_ENDED, (status, message, row[0]))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        run_forever(os.environ["LOCAL_DATABASE_URL"], float(os.environ["LOCAL_CRON_SPEED"]))
