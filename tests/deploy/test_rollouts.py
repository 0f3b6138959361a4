"""Functions and database, rolled out in either order: real ones, of made-up releases."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from local.processes.options import ROOT
from local.processes.stack import Stack
from memoria.agreement import OURS
from tests.deploy.whole import examined, smoke_test, wrong

NEWER = """
import memoria.agreement as agreement
agreement.OURS = agreement.Agreement(made_for=2, works_with={works_with})
exec(compile(open({main!r}).read(), {main!r}, "exec"))
"""


@contextmanager
def database_that_states(stack: Stack, stated: str) -> Iterator[None]:
    define = (
        "create or replace function memoria.agreement() returns jsonb language sql immutable"
        " set search_path = '' as $$ select '{}'::jsonb $$"
    )
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(define.format(stated))
        try:
            yield
        finally:
            connection.execute(define.format(json.dumps(OURS.json())))


@contextmanager
def newer_functions(stack: Stack, folder: Path, works_with: int) -> Iterator[None]:
    """*process* of a made-up next release in the place of today's."""
    main = str(ROOT / "functions" / "process" / "main.py")
    (folder / "main.py").write_text(NEWER.format(works_with=works_with, main=main))
    today, newer = stack.services["process"], stack.function("process", folder / "main.py")
    today.stop()
    newer.start()
    try:
        newer.wait_ready()
        yield
    finally:
        newer.stop()
        today.start()
        today.wait_ready()


@pytest.mark.parametrize("service", ["process", "cluster", "search"])
def test_the_smoke_test_is_passed_by_the_real_functions(stack: Stack, service: str) -> None:
    done = smoke_test(stack, service)
    assert done.returncode == 0, done.stderr


def test_the_database_and_the_functions_state_the_same_agreement(
    stack: Stack, environ: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(stack.database_url) as connection:
        (stated,) = connection.execute("select memoria.agreement()").fetchone() or (None,)
    assert stated == OURS.json()
    assert examined()["process and database"].state == "ok"


def test_old_functions_go_on_working_on_a_database_that_still_serves_them(
    stack: Stack, environ: pytest.MonkeyPatch
) -> None:
    """A made-up next release of the database: another column, a later agreement."""
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("alter table memoria.media add column later text default 'new'")
    try:
        with database_that_states(stack, '{"made_for": 2, "works_with": 1}'):
            found = examined(probe=True)
            assert found["process and database"].state == "ok"
            assert found["probe"].state == "ok"
            assert smoke_test(stack, "process").returncode == 0
    finally:
        with psycopg.connect(stack.database_url) as connection:
            connection.execute("alter table memoria.media drop column later")


def test_new_functions_work_on_an_old_database_that_they_still_serve(
    stack: Stack, environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Today's database is the older one."""
    with newer_functions(stack, tmp_path, works_with=1):
        found = examined(probe=True)
        assert found["process and database"].state == "ok"
        assert found["probe"].state == "ok"
        assert smoke_test(stack, "process").returncode == 0


def test_functions_that_need_a_newer_database_are_not_released_before_it(
    stack: Stack, environ: pytest.MonkeyPatch
) -> None:
    with database_that_states(stack, '{"made_for": 0, "works_with": 0}'):
        found = examined()
        assert "process and database" in wrong(found)
        assert "supabase db push" in found["process and database"].mend
        done = smoke_test(stack, "process")
    assert done.returncode == 1
    assert "the database is too old for this version" in done.stderr


def test_functions_that_are_too_old_for_the_database_are_named(
    stack: Stack, environ: pytest.MonkeyPatch
) -> None:
    with database_that_states(stack, '{"made_for": 3, "works_with": 2}'):
        found = examined()
        assert wrong(found) >= {"process and database", "cluster and database"}
        assert "./deploy.sh" in found["process and database"].mend
        done = smoke_test(stack, "cluster")
    assert done.returncode == 1
    assert "this version is too old for the database" in done.stderr
