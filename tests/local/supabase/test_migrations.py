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


def test_each_migration_is_applied_in_order_and_the_first_one_once(empty: str) -> None:
    versions = [path.name.split("_")[0] for path in sorted(MIGRATIONS.glob("*.sql"))]
    assert len(set(versions)) == len(versions)
    assert apply_migrations(empty) == versions
    assert apply_migrations(empty) == versions[1:]


def test_what_an_app_has_pushed_is_not_applied_again(empty: str, tmp_path: Path) -> None:
    """The app's copy has a version of its own, and the command line keeps its statements apart."""
    (tmp_path / "1_first.sql").write_text("create table one ();")
    assert apply_migrations(empty, tmp_path) == ["1"]
    (tmp_path / "2_more.sql").write_text(
        "-- More.\n\ncreate table two ();\ncreate table three ();\n"
    )
    with psycopg.connect(empty) as connection:
        connection.execute(
            "insert into supabase_migrations.schema_migrations values ('7', %s, 'more')",
            [["-- More.\n\ncreate table two ()", "create table three ()"]],
        )
    assert apply_migrations(empty, tmp_path) == []


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
