"""Memoria beside an app's own migrations, pushed by the real Supabase CLI to a real database."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import numpy as np
import psycopg
import pytest
from psycopg import sql

from local.processes.postgres import Postgres
from memoria.cli import main, supabase
from tests.database.project import Project
from tests.npm import installed

_CLI = "supabase@3.1.0"

pytestmark = pytest.mark.npm


@pytest.fixture
def project(postgres_server: Postgres) -> Iterator[str]:
    """An empty database as Supabase sets one up."""
    yield postgres_server.create_database("app")
    postgres_server.drop_database("app")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder as ``supabase init`` leaves it."""
    folder = tmp_path / "my app"
    folder.mkdir()
    cli(folder, "init", "--yes")
    assert (folder / "supabase" / "config.toml").exists()
    return folder


def cli(folder: Path, *words: str) -> str:
    environ = {**os.environ, "DO_NOT_TRACK": "1", "SUPABASE_HOME": str(folder / "home")}
    done = subprocess.run(
        [str(installed(_CLI)), *words], cwd=folder, env=environ, timeout=120,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def push(app: Path, project: str) -> str:
    return cli(app, "db", "push", f"--remote={project}", "--yes")


def migrations(app: Path) -> list[str]:
    return sorted(path.name for path in (app / "supabase" / "migrations").glob("*.sql"))


def add_migration(app: Path, version: int, script: str) -> None:
    folder = app / "supabase" / "migrations"
    folder.mkdir(exist_ok=True)
    (folder / f"{version}_theirs.sql").write_text(script)


def ours() -> int:
    return len(list((supabase.OURS / "migrations").glob("*.sql")))


def asked(project: str, query: str) -> object:
    with psycopg.connect(project) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def contents(project: str) -> dict[str, list[str]]:
    """Every row of every table of ours; what the made-up release adds is left out."""
    with psycopg.connect(project) as connection:
        names = connection.execute(
            "select tablename from pg_tables where schemaname = 'memoria' order by 1"
        ).fetchall()
        return {
            name: [
                row
                for (row,) in connection.execute(
                    sql.SQL("select (to_jsonb(t) - 'later')::text from memoria.{} t order by 1")
                    .format(sql.Identifier(name))
                ).fetchall()
            ]
            for (name,) in names
        }  # fmt: skip


def test_on_an_empty_project(app: Path, project: str) -> None:
    assert main(["supabase", "install", str(app)]) == 0
    push(app, project)
    assert asked(project, "select count(*) from memoria.events") == 0
    assert "up to date" in push(app, project).lower()


def test_beside_ten_migrations_of_the_app(app: Path, project: str) -> None:
    for number in range(10):
        add_migration(app, 20270101000000 + number, f"create table public.t{number} (id int);")
    push(app, project)
    assert main(["supabase", "install", str(app)]) == 0
    push(app, project)
    assert len(migrations(app)) == 10 + ours()
    assert asked(project, "select count(*) from memoria.events") == 0
    add_migration(app, 20990101000000, "create table public.later (id int);")
    push(app, project)
    before = migrations(app)
    assert main(["supabase", "install", str(app)]) == 0
    assert migrations(app) == before


@pytest.fixture
def next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up later release: one more migration, and a better callback."""
    folder = tmp_path / "release" / "supabase"
    shutil.copytree(supabase.OURS, folder)
    (folder / "migrations" / "20990101000000_later.sql").write_text(
        "alter table memoria.events add column later text not null default 'new';"
    )
    with (folder / "functions" / "ml-callback" / "index.ts").open("a") as file:
        file.write("// better\n")
    monkeypatch.setattr(supabase, "OURS", folder)
    monkeypatch.setattr("memoria.__version__", "9.0.0")
    return folder


LOOK = np.eye(512, dtype=np.float32)[0]
BOTH = [((0.1, 0.1, 0.2, 0.2), LOOK), ((0.6, 0.1, 0.2, 0.2), LOOK)]


def lived_in(project: str) -> UUID | None:
    """Ann has a name and a pin; who stood beside her was forgotten. Returns Ann's face."""
    with Project(project) as party:
        ann, beside = party.process("e1", "m1", BOTH)
        person = party.call("assign_face", face_id=ann)["person_id"]
        party.call("rename_person", person_id=person, name="Ann")
        gone = party.call("assign_face", face_id=beside)["person_id"]
        party.call("forget_person", person_id=gone)
        return ann


def test_an_upgrade_keeps_data_and_the_apps_own_rule(
    app: Path, project: str, request: pytest.FixtureRequest
) -> None:
    assert main(["supabase", "install", str(app)]) == 0
    push(app, project)
    rule = asked(
        project,
        "select pg_get_functiondef(oid) from pg_proc where pronamespace = 'memoria'::regnamespace"
        " and proname in ('can_access_event', 'can_view_event') limit 1",
    )
    replaced = str(rule).replace("AS $function$", "AS $function$ /* the app's own rule */", 1)
    newest = int(migrations(app)[-1].partition("_")[0])
    add_migration(app, newest + 60, replaced + ";")
    push(app, project)
    ann = lived_in(project)
    before = contents(project)
    for table in ("persons", "corrections", "forgotten_faces", "changes"):
        assert before[table], table
    request.getfixturevalue("next_release")
    assert main(["supabase", "upgrade", str(app)]) == 0
    push(app, project)
    assert asked(project, "select later from memoria.events") == "new"
    assert contents(project) == before
    with Project(project) as party:
        assert party.process("e1", "m1", BOTH) == [ann, None]
        (person,) = party.call("people", event_id="e1")["people"]
        assert (person["name"], person["face_count"]) == ("Ann", 1)
    assert (
        asked(
            project,
            "select count(*) from pg_proc where pronamespace = 'memoria'::regnamespace"
            " and prosrc like '%the app''s own rule%'",
        )
        == 1
    )
    assert (app / "supabase/functions/ml-callback/index.ts").read_text().endswith("// better\n")


def test_an_edited_install_is_named_and_left(
    app: Path, project: str, next_release: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with monkeypatch.context() as before:
        before.setattr(supabase, "OURS", Path(__file__).parents[2] / "supabase")
        before.setattr("memoria.__version__", "8.0.0")
        assert main(["supabase", "install", str(app)]) == 0
    push(app, project)
    function = app / "supabase" / "functions" / "ml-callback" / "index.ts"
    function.write_text(function.read_text() + "// mine\n")
    capsys.readouterr()
    assert main(["supabase", "upgrade", str(app)]) == 1
    assert "behind this release: supabase/functions/ml-callback/index.ts" in capsys.readouterr().out
    assert function.read_text().endswith("// mine\n")
    push(app, project)
    assert asked(project, "select count(*) from memoria.events where later is not null") == 0
