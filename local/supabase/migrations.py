"""Applies ``supabase/migrations`` in order, keeping the Supabase CLI's history table."""

from pathlib import Path

import psycopg

MIGRATIONS = Path(__file__).parents[2] / "supabase" / "migrations"

_HISTORY = """
    create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (
      version text primary key, statements text[], name text
    );
"""


def apply_migrations(url: str, folder: Path = MIGRATIONS) -> list[str]:
    """Applies what the database has not seen yet, each file in its own transaction.

    Returns the versions applied now. Raises ``psycopg.Error`` and leaves the failing file undone.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_HISTORY)
        known = {
            row[0]
            for row in connection.execute(
                "select version from supabase_migrations.schema_migrations"
            )
        }
        pending = [path for path in sorted(folder.glob("*.sql")) if _version(path) not in known]
        for path in pending:
            _apply(connection, path)
    return [_version(path) for path in pending]


def _version(path: Path) -> str:
    return path.stem.split("_", 1)[0]


def _apply(connection: psycopg.Connection, path: Path) -> None:
    with connection.transaction():
        try:
            connection.execute(path.read_bytes())
        except psycopg.Error as error:
            error.add_note(f"in {path.name}")
            raise
        connection.execute(
            "insert into supabase_migrations.schema_migrations (version, name, statements)"
            " values (%s, %s, %s)",
            (_version(path), path.stem.split("_", 1)[1], [path.read_text()]),
        )
