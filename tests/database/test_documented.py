"""docs/queue.md and docs/sql-surface.md say what the database has."""

import json
import re

import psycopg

from tests.documents import names, page, table

SURFACE = page("docs/sql-surface.md")


def documented_value(text: str) -> object:
    """A default as the page writes it: ``process 32, cluster 2`` or one JSON value."""
    kinds = re.findall(r"(\w+) (\d+)", text)
    return {kind: int(number) for kind, number in kinds} if kinds else json.loads(text)


def test_every_setting_stands_once_with_its_default(database: str) -> None:
    rows = table(page("docs/queue.md"), "Settings (`memoria_configure`)")
    documented = {names(row[0])[0]: documented_value(row[1]) for row in rows}
    with psycopg.connect(database) as connection:
        stored = dict(connection.execute("select key, value from memoria.settings").fetchall())
    assert documented == stored
    assert len(rows) == len(stored)


def test_every_column_that_is_documented_exists(database: str) -> None:
    with psycopg.connect(database) as connection:
        columns = connection.execute(
            "select attrelid::regclass::text || '.' || attname from pg_attribute"
            " join pg_class on pg_class.oid = attrelid"
            " where relnamespace = 'memoria'::regnamespace and relkind in ('r', 'p') and attnum > 0"
        ).fetchall()
    known = {column for (column,) in columns}
    documented = {
        f"memoria.{names(name)[0]}.{column}"
        for name, described in table(SURFACE, "Tables")
        for column in names(described.partition(":")[0])
        if re.fullmatch(r"\w+", column)
    }
    assert documented - known == set()


def test_every_public_function_is_documented_with_its_arguments(database: str) -> None:
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "select proname, coalesce(proargnames, '{}') from pg_proc"
            " where pronamespace = 'public'::regnamespace and proname like 'memoria\\_%'"
        ).fetchall()
    signatures = re.findall(r"`(memoria_\w+)\(([^`]*)\)`", SURFACE)
    documented = {name: re.findall(r"\bp_\w+", arguments) for name, arguments in signatures}
    assert documented == dict(found)
