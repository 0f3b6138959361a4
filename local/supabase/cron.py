"""A stand-in for the one pg_cron job, ``memoria_sweep()``: ``python -m local.supabase.cron``."""

import contextlib
import os
import sys
import time

import psycopg


def sweep_forever(database_url: str, seconds: float) -> None:
    """Run ``memoria_sweep()`` every few seconds; what fails is said and tried again next time."""
    while True:
        try:
            with psycopg.connect(database_url, autocommit=True) as connection:
                while True:
                    time.sleep(seconds)
                    connection.execute("select public.memoria_sweep()")
        except psycopg.Error as exc:
            print(f"sweep failed: {exc}", file=sys.stderr, flush=True)
            time.sleep(1)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sweep_forever(os.environ["LOCAL_DATABASE_URL"], float(os.environ["LOCAL_SWEEP_SECONDS"]))
