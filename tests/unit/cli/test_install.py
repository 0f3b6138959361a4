"""What is written into an app's supabase folder, and what is left alone."""

import json
from pathlib import Path

import pytest

from memoria.cli import main, supabase
from memoria.cli.install import CannotInstall, Plan, plan, with_function

NOW = "20270101120000"
CONFIG = b'project_id = "app"  # ours\n\n[functions.hello]\nverify_jwt = true\n'
OURS = {
    "migrations/20261125000000_memoria.sql": b"create schema memoria;\n",
    "migrations/20261126000000_more.sql": b"select 1;\n",
    "functions/ml-callback/index.ts": b"// the callback\n",
}
Folder = dict[str, bytes]


def installed(theirs: Folder, ours: Folder = OURS, release: str = "0.2.0") -> tuple[Folder, Plan]:
    made = plan(ours, theirs, release, NOW)
    return theirs | made.writes, made


def test_an_empty_project_gets_everything() -> None:
    folder, made = installed({"config.toml": CONFIG})
    assert set(made.writes) == {
        "migrations/20261125000000_memoria.sql", "migrations/20261126000000_more.sql",
        "functions/ml-callback/index.ts", "config.toml", "memoria.json",
    }  # fmt: skip
    assert list(made.writes)[-1] == "memoria.json"
    assert folder["config.toml"].startswith(CONFIG)
    assert with_function(folder["config.toml"].decode()) is None


def test_again_changes_nothing() -> None:
    folder, _ = installed({"config.toml": CONFIG})
    assert installed(folder)[1] == Plan()


def test_beside_newer_ones_of_the_app_it_is_as_new_as_today() -> None:
    folder, _ = installed({"config.toml": CONFIG, "migrations/20261125000001_theirs.sql": b"1"})
    assert "migrations/20270101120000_memoria.sql" in folder
    assert "migrations/20270101120001_more.sql" in folder


@pytest.mark.parametrize("newest", ["20260101000000", "20290101000000", "0042"])
def test_versions_sort_after_what_is_there(newest: str) -> None:
    theirs = {"config.toml": CONFIG, f"migrations/{newest}_theirs.sql": b"select 2;"}
    folder, _ = installed(theirs)
    ours = [path for path in folder if path.startswith("migrations/") and "theirs" not in path]
    assert f"migrations/{newest}_theirs.sql" < min(ours)
    assert [path.partition("_")[2] for path in sorted(ours)] == ["memoria.sql", "more.sql"]


def test_an_install_that_was_cut_off_is_finished_without_a_second_copy() -> None:
    _, made = installed({"config.toml": CONFIG})
    first = next(iter(made.writes))
    folder, _ = installed({"config.toml": CONFIG, first: made.writes[first]})
    assert len([path for path in folder if path.endswith("_memoria.sql")]) == 1


def test_a_later_release_adds_what_is_new_after_the_apps_own() -> None:
    folder, _ = installed({"config.toml": CONFIG})
    rule = "migrations/20270601000000_theirs.sql"
    folder[rule] = b"create function memoria.can_view_event()"
    later = OURS | {
        "migrations/20270701000000_later.sql": b"select 3;\n",
        "functions/ml-callback/index.ts": b"// better\n",
    }
    after, made = installed(folder, later, "0.3.0")
    assert set(made.writes) == {
        "migrations/20270601000001_later.sql", "functions/ml-callback/index.ts", "memoria.json",
    }  # fmt: skip
    assert after[rule] == folder[rule]
    assert not made.edited


def test_edited_files_are_named_and_left() -> None:
    folder, _ = installed({"config.toml": CONFIG})
    folder["migrations/20261125000000_memoria.sql"] += b"-- mine"
    folder["functions/ml-callback/index.ts"] += b"// mine"
    _, made = installed(folder)
    assert sorted(made.edited) == [
        "functions/ml-callback/index.ts", "migrations/20261125000000_memoria.sql",
    ]  # fmt: skip
    assert (made.writes, made.behind) == ({}, [])
    later = OURS | {"functions/ml-callback/index.ts": b"// better\n"}
    after, made = installed(folder, later, "0.3.0")
    assert made.behind == ["functions/ml-callback/index.ts"]
    assert after["functions/ml-callback/index.ts"].endswith(b"// mine")
    again = installed(after, later, "0.3.0")[1]
    assert (again.writes, again.behind) == ({}, ["functions/ml-callback/index.ts"])


def test_a_function_of_that_name_that_is_not_ours_is_left() -> None:
    theirs = {"config.toml": CONFIG, "functions/ml-callback/index.ts": b"// theirs"}
    _, made = installed(theirs)
    assert made.behind == ["functions/ml-callback/index.ts"]
    assert "functions/ml-callback/index.ts" not in made.writes


def test_the_line_endings_of_windows_are_no_edit() -> None:
    folder, _ = installed({"config.toml": CONFIG})
    crlf = {path: text.replace(b"\n", b"\r\n") for path, text in folder.items() if path[0] in "mf"}
    crlf.pop("memoria.json")
    assert installed(folder | crlf)[1] == Plan()


def test_a_released_migration_that_changed_is_refused() -> None:
    folder, _ = installed({"config.toml": CONFIG})
    changed = OURS | {"migrations/20261125000000_memoria.sql": b"create schema other;\n"}
    with pytest.raises(CannotInstall, match="was released, and is another one"):
        installed(folder, changed, "0.3.0")


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (b"[functions.ml-callback]\nverify_jwt = true\n", "must say verify_jwt = false"),
        (b"[functions.ml-callback]\n", "must say verify_jwt = false"),
        (b"functions = {hello = {}}\n", "cannot be read"),
        (b"[functions\n", "cannot be read"),
    ],
)
def test_a_config_that_cannot_be_merged_is_said(config: bytes, complaint: str) -> None:
    with pytest.raises(CannotInstall, match=complaint):
        installed({"config.toml": config})


@pytest.mark.parametrize(
    "record", [b"{", b"[]", b'{"release": 1}', b'{"release": "1", "files": {"": 1}}']
)
def test_a_broken_record_is_said(record: bytes) -> None:
    with pytest.raises(CannotInstall, match="is not what memoria wrote"):
        installed({"config.toml": CONFIG, "memoria.json": record})


def test_the_command_on_a_real_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["supabase", "install", str(tmp_path)]) == 2
    assert "supabase init" in capsys.readouterr().err
    (tmp_path / "supabase").mkdir()
    (tmp_path / "supabase" / "config.toml").write_bytes(CONFIG)
    assert main(["supabase", "upgrade", str(tmp_path)]) == 2
    assert main(["supabase", "install", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert all(step in said for step in ("db push", "secrets set", "functions deploy"))
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    migrations = len(list((supabase.OURS / "migrations").glob("*.sql")))
    assert len([path for path in files if path.suffix == ".sql"]) == migrations
    assert main(["supabase", "install", str(tmp_path)]) == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_another_release_is_an_upgrade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "supabase").mkdir()
    (tmp_path / "supabase" / "config.toml").write_bytes(CONFIG)
    main(["supabase", "install", str(tmp_path)])
    monkeypatch.setattr("memoria.__version__", "9.0.0")
    assert main(["supabase", "install", str(tmp_path)]) == 2
    assert "memoria supabase upgrade" in capsys.readouterr().err
    assert main(["supabase", "upgrade", str(tmp_path)]) == 0
    assert '"release": "9.0.0"' in (tmp_path / "supabase" / "memoria.json").read_text()


def test_an_upgrade_tells_the_steps_of_what_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before, it had a new secret set, with which callbacks were refused."""
    (tmp_path / "supabase").mkdir()
    (tmp_path / "supabase" / "config.toml").write_bytes(CONFIG)
    assert main(["supabase", "install", str(tmp_path)]) == 0
    record = tmp_path / "supabase" / "memoria.json"
    known = json.loads(record.read_text())
    source = max(path for path in known["files"] if path.endswith(".sql"))
    (tmp_path / "supabase" / known["files"].pop(source)["path"]).unlink()
    record.write_text(json.dumps(known))
    capsys.readouterr()
    assert main(["supabase", "upgrade", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "db push" in said
    assert "secrets set" not in said
    assert "functions deploy" not in said


def test_after_one_that_was_cut_off_every_step_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "supabase").mkdir()
    (tmp_path / "supabase" / "config.toml").write_bytes(CONFIG)
    assert main(["supabase", "install", str(tmp_path)]) == 0
    record = tmp_path / "supabase" / "memoria.json"
    known = json.loads(record.read_text())  # the migration is there, and the record was not written
    known["files"].pop(max(path for path in known["files"] if path.endswith(".sql")))
    record.write_text(json.dumps(known))
    capsys.readouterr()
    assert main(["supabase", "upgrade", str(tmp_path)]) == 0
    assert "db push" in capsys.readouterr().out
