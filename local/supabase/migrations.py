"""Applies ``supabase/migrations`` in order, keeping the Supabase CLI's history table."""

import re
from pathlib import Path

import psycopg

MIGRATIONS = Path(__file__).parents[2] / "supabase" / "migrations"

_HISTORY = """
    create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (
      version text primary key, statements text[], name text
    );
"""
_UNSPOKEN = re.compile(r"--[^\n]*|[\s;]+")  # what may differ between two copies of one text


def apply_migrations(url: str, folder: Path = MIGRATIONS) -> list[str]:
    """Applies what the database has not seen yet, each file in its own transaction.

    The first one is written down under its version. Later ones are not, and so are applied at every
    start (they may be, twice) until an app pushes its copy: that has a version after the app's own
    migrations, and ``db push`` refuses a database that knows another one. Returns the versions
    applied now. Raises ``psycopg.Error`` and leaves the failing file undone.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_HISTORY)
        versions, texts = _known(connection)
        found = sorted(folder.glob("*.sql"))
        pending = [
            path
            for path in found
            if _version(path) not in versions and _words(path.read_text()) not in texts
        ]
        for path in pending:
            _apply(connection, path, note=path == found[0])
    return [_version(path) for path in pending]


def _known(connection: psycopg.Connection) -> tuple[set[str], set[str]]:
    """The versions that are written down, and what they said."""
    rows = connection.execute(
        "select version, array_to_string(statements, ' ')"
        " from supabase_migrations.schema_migrations"
    ).fetchall()
    return {version for version, _ in rows}, {_words(text or "") for _, text in rows}


def _words(text: str) -> str:
    return _UNSPOKEN.sub("", text)


def _version(path: Path) -> str:
    return path.stem.split("_", 1)[0]


def _apply(connection: psycopg.Connection, path: Path, *, note: bool) -> None:
    with connection.transaction():
        try:
            connection.execute(path.read_bytes())
        except psycopg.Error as error:
            error.add_note(f"in {path.name}")
            raise
        if note:
            connection.execute(
                "insert into supabase_migrations.schema_migrations (version, name, statements)"
                " values (%s, %s, %s)",
                (_version(path), path.stem.split("_", 1)[1], [path.read_text()]),
            )
