"""A stack's database: a server that looks like a Supabase project, with the real migrations."""

import shutil
from pathlib import Path

import psycopg

from local.processes.home import Home
from local.processes.options import StackOptions
from local.processes.postgres import Extension, Postgres
from local.processes.services import ServiceError
from local.supabase.migrations import apply_migrations

# what is kept survives the machine's own crash, but for the last moments
KEPT_SETTINGS = ("fsync=on", "synchronous_commit=off")
# as every hosted project
EXTENSIONS: tuple[Extension, ...] = ("auth", "storage", "pg_net", "vault", "cron")


# a worker of the run before holds none any more
END_LEASES = """
    update memoria.jobs set leased_until = clock_timestamp() where leased_until > clock_timestamp()
"""


def server_for(options: StackOptions) -> Postgres:
    """The server, not started."""
    home = options.home
    return Postgres(
        home.database if home else None,
        port=options.ports.get("postgres"),
        settings=(*(KEPT_SETTINGS if home else ()), *options.postgres_settings),
    )


def start_database(postgres: Postgres, home: Home | None, app_sql: Path | None) -> None:
    """Start it and bring its database up to date; a new one is made first. Raises ServiceError."""
    is_made = home is not None and home.made
    if home and not is_made:
        shutil.rmtree(postgres.data_dir / "data", ignore_errors=True)
    _start(postgres)
    if not is_made:
        postgres.install("postgres", *EXTENSIONS)
    apply_migrations(postgres.url)
    with psycopg.connect(postgres.url) as connection:
        connection.execute(END_LEASES)
        if app_sql and not is_made:
            connection.execute(app_sql.read_bytes())
    if home:
        home.mark_made()


def _start(postgres: Postgres) -> None:
    try:
        postgres.start()
    except RuntimeError as exc:
        log = postgres.data_dir / "log"
        last = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
        raise ServiceError("\n".join([f"PostgreSQL: {exc}", *last])) from exc
