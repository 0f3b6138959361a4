"""What a bulk upload costs the database: one insert of photos, with all that its commit does.

`python -m benchmarks.inserts` prints CPU seconds of the backend, on a busy machine as on a quiet
one, for 50,000 photos into one event, into 1,000 and into 10,000. Each on a fresh database: nothing
was analyzed yet, as just after an app's first large upload.
"""

import os

import psycopg

from benchmarks.server import ticks
from local.processes.postgres import Postgres
from local.supabase.migrations import apply_migrations

CASES = ((1, 50_000), (1_000, 50), (10_000, 5))  # events, photos of each


def cpu_of_insert(url: str, events: int, photos: int) -> float:
    """CPU seconds of the backend for one statement and its commit."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "insert into memoria.events (id) select 'e' || n from generate_series(1, %s) as n",
            (events,),
        )
        before = ticks(connection.info.backend_pid)
        connection.execute(
            "insert into memoria.media (id, event_id, bucket, path)"
            " select 'e' || n || '-' || i, 'e' || n, 'photos', n || '/' || i || '.jpg'"
            " from generate_series(1, %s) as n, generate_series(1, %s) as i",
            (events, photos),
        )
        after = ticks(connection.info.backend_pid)
        (jobs,) = connection.execute("select count(*) from memoria.jobs").fetchone() or (0,)
    if jobs != events * photos:
        raise RuntimeError(f"{jobs} jobs for {events * photos} photos")
    return (after - before) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print one line for each case."""
    with Postgres() as server:
        apply_migrations(server.create_database("migrated"))
        print("| events × photos | CPU seconds of the backend | photos a second |\n|---|---|---|")
        for events, photos in CASES:
            url = server.create_database(f"insert_{events}", template="migrated")
            spent = cpu_of_insert(url, events, photos)
            rate = events * photos / spent
            print(f"| {events:,} × {photos:,} | {spent:.2f} | {rate:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
