from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.processes.postgres import Postgres
from local.supabase.migrations import MIGRATIONS, apply_migrations


@pytest.fixture
def empty(postgres_server: Postgres) -> Iterator[str]:
    yield postgres_server.create_database("to_migrate")
    postgres_server.drop_database("to_migrate")


def test_each_migration_is_applied_once_and_in_order(empty: str) -> None:
    versions = [path.name.split("_")[0] for path in sorted(MIGRATIONS.glob("*.sql"))]
    assert len(set(versions)) == len(versions)
    assert apply_migrations(empty) == versions
    assert apply_migrations(empty) == []


def test_a_migration_that_fails_is_undone_and_named(empty: str, tmp_path: Path) -> None:
    (tmp_path / "1_good.sql").write_text("create table good ();")
    (tmp_path / "2_bad.sql").write_text("create table half (); select 1 / 0;")
    with pytest.raises(psycopg.errors.DivisionByZero) as failed:
        apply_migrations(empty, tmp_path)
    assert failed.value.__notes__ == ["in 2_bad.sql"]
    with psycopg.connect(empty) as connection:
        assert connection.execute("select to_regclass('good'), to_regclass('half')").fetchone() == (
            "good",
            None,
        )
    (tmp_path / "2_bad.sql").write_text("create table whole ();")
    assert apply_migrations(empty, tmp_path) == ["2"]
