"""The migrations as a user applies them: with the real Supabase CLI, from npm."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from local.processes.postgres import Postgres
from local.supabase.migrations import MIGRATIONS, apply_migrations
from tests.npm import installed

REPOSITORY = Path(__file__).parents[2]
_CLI = "supabase@3.1.0"

pytestmark = pytest.mark.npm

Supabase = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def supabase() -> Supabase:
    """Runs the CLI in the repository; installed once into the ignored ``.cache``."""
    program = installed(_CLI)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(program), *arguments], cwd=REPOSITORY, env={**os.environ, "DO_NOT_TRACK": "1"},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    return run


@pytest.fixture
def project(postgres_server: Postgres) -> Iterator[str]:
    """An empty database as Supabase sets one up."""
    yield postgres_server.create_database("project")
    postgres_server.drop_database("project")


def test_db_push_applies_every_migration_once(supabase: Supabase, project: str) -> None:
    pushed = supabase("db", "push", f"--remote={project}", "--yes")
    assert pushed.returncode == 0, pushed.stderr
    with psycopg.connect(project) as connection:
        versions = connection.execute(
            "select version from supabase_migrations.schema_migrations order by version"
        ).fetchall()
    assert [version for (version,) in versions] == [
        path.name.split("_")[0] for path in sorted(MIGRATIONS.glob("*.sql"))
    ]
    assert apply_migrations(project) == []  # ours keeps the same history
    assert supabase("db", "push", f"--remote={project}", "--yes").returncode == 0


def test_the_advisors_find_nothing(supabase: Supabase, project: str) -> None:
    apply_migrations(project)
    advice = supabase(
        "db", "advisors", f"--remote={project}", "--fail-on", "warn", "--output-format", "json"
    )
    assert advice.returncode == 0, advice.stdout
    assert json.loads(advice.stdout)["results"] == []


def test_the_advisors_would_find_something(supabase: Supabase, project: str) -> None:
    """Or the test above could not fail."""
    apply_migrations(project)
    with psycopg.connect(project) as connection:
        connection.execute("create table public.open_to_all (id int)")
        connection.execute("grant select on public.open_to_all to anon")
    advice = supabase("db", "advisors", f"--remote={project}", "--fail-on", "warn")
    assert advice.returncode == 1
