import os
from pathlib import Path

import psycopg
import pytest

from local.processes.postgres import Postgres, StopMode


def _counts(url: str) -> tuple[int, int]:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "select (select count(*) from kept), (select count(*) from lost)"
        ).fetchone()
    assert row is not None
    return row[0], row[1]


@pytest.mark.parametrize(("mode", "lost"), [("fast", 1), ("immediate", 0)])
def test_a_crash_empties_unlogged_tables_and_keeps_the_rest(mode: StopMode, lost: int) -> None:
    with Postgres() as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("create table kept as select 1")
            connection.execute("create unlogged table lost as select 1")
        url = server.url
        server.restart(mode)
        assert server.url == url
        assert _counts(url) == (1, lost)


def test_an_ephemeral_server_leaves_nothing_behind() -> None:
    with Postgres() as server:
        assert server.data_dir.exists()
    assert not server.data_dir.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.url)


def test_a_kept_directory_keeps_its_data_even_in_a_private_place(tmp_path: Path) -> None:
    """pytest's folders are closed to the user that root runs the server as."""
    folder = tmp_path / "data"
    with Postgres(folder) as server, psycopg.connect(server.url) as connection:
        connection.execute("create table kept as select 1")
    with Postgres(folder) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (1,)
        place = server.data_dir
    if place != folder:  # root: elsewhere, and ours to clear
        assert os.geteuid() == 0
        os.system(f"rm -r {place}")


def test_it_looks_like_supabase_to_a_migration() -> None:
    with Postgres() as server, psycopg.connect(server.url) as connection:
        (superuser,) = connection.execute(
            "select rolsuper from pg_roles where rolname = current_user"
        ).fetchone() or (None,)
        assert superuser is False
        (roles,) = connection.execute(
            "select array_agg(rolname::text order by rolname) from pg_roles where rolname in"
            " ('anon', 'authenticated', 'service_role', 'authenticator')"
        ).fetchone() or (None,)
        assert roles == ["anon", "authenticated", "authenticator", "service_role"]
        (schema,) = connection.execute(
            "select extnamespace::regnamespace::text from pg_extension where extname = 'vector'"
        ).fetchone() or (None,)
        assert schema == "extensions"
        connection.execute(
            """select set_config('request.jwt.claims',
               '{"sub": "00000000-0000-0000-0000-000000000001"}', true)"""
        )
        (user,) = connection.execute("select auth.uid()").fetchone() or (None,)
        assert user.int == 1


def test_a_start_that_fails_says_why(postgres_server: Postgres) -> None:
    with pytest.raises(RuntimeError, match="pg_ctl failed"):
        Postgres(port=postgres_server.port).__enter__()
