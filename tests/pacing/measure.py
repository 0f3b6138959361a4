"""A bulk insert, delivered by the stand-in of pg_net to a function of a chosen duration."""

import json
import time
from dataclasses import dataclass

import psycopg

from local.processes.stack import Stack, StackOptions
from tests.pacing.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Setting:
    """What bounds the rate."""

    max_in_flight: int
    function_seconds: float
    nudge_timeout_ms: int = 5000


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of it."""

    rows: int
    completed: int
    most_at_work: int
    per_second: float  # from the insert to the last completion


def open_stack() -> Stack:
    """A database with pg_net and the sweeper; the function is ours."""
    without = frozenset({"gateway", "process", "cluster"})
    return Stack(StackOptions(without=without, sweep_seconds=2))


def measure(stack: Stack, setting: Setting, rows: int, patience_seconds: float = 300) -> Measured:
    """Insert ``rows`` photos in one statement and wait until all are done."""
    with (
        Endpoint(
            stack.postgres.url_of("postgres", "authenticator"), setting.function_seconds
        ) as endpoint,
        psycopg.connect(stack.database_url, autocommit=True) as connection,
    ):
        _configure(connection, setting, endpoint.url)
        started = time.monotonic()
        _insert(connection, rows)
        while endpoint.completed < rows and time.monotonic() - started < patience_seconds:
            time.sleep(0.05)
        seconds = time.monotonic() - started
        connection.execute("select public.memoria_delete_event('bulk')")
        return Measured(rows, endpoint.completed, endpoint.most, endpoint.completed / seconds)


def _configure(
    connection: psycopg.Connection[tuple[object, ...]], setting: Setting, url: str
) -> None:
    settings = {
        "process_url": url,
        "max_in_flight": {"process": setting.max_in_flight},
        "nudge_timeout_ms": setting.nudge_timeout_ms,
        "callbacks": False,
        "dispatch_lease_seconds": 10,  # a machine so busy that it loses nudges must not wait long
    }
    connection.execute("select public.memoria_configure(%s)", (json.dumps(settings),))


def _insert(connection: psycopg.Connection[tuple[object, ...]], rows: int) -> None:
    connection.execute("select public.memoria_create_event('bulk')")
    connection.execute(
        "insert into memoria.media (id, event_id, bucket, path)"
        " select 'bulk-' || n, 'bulk', 'photos', n || '.jpg' from generate_series(1, %s) as n",
        (rows,),
    )
