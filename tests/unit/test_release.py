"""What a release promises: one version everywhere, and migrations that never change again."""

import json
import re
import tomllib
from pathlib import Path

import pytest

import memoria
from local.supabase.migrations import MIGRATIONS
from local.supabase.released import changed, freeze, released
from local.supabase.schemas import FIRST_MIGRATION
from tests.documents import page

# "## 0.2.0 (not yet released)" or "## 0.1.0 (2026-11-23)"
HEADING = re.compile(r"^## (\d+\.\d+\.\d+) \((not yet released|\d{4}-\d\d-\d\d)\)$", re.MULTILINE)


def numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def test_the_version_is_that_of_the_last_release_everywhere() -> None:
    headings = HEADING.findall(page("CHANGELOG.md"))
    assert len(headings) == len(re.findall("^## ", page("CHANGELOG.md"), re.MULTILINE))
    versions = [version for version, _ in headings]
    assert versions == sorted(versions, key=numbers, reverse=True)
    dates = [date for _, date in headings]
    assert "not yet released" not in dates[1:]
    last = versions[1 if dates[0] == "not yet released" else 0]
    assert memoria.__version__ == last
    assert json.loads(page("docs/openapi.json"))["info"]["version"] == last
    project = tomllib.loads(page("pyproject.toml"))
    assert "version" not in project["project"]  # it is read from the package
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "memoria.__version__"}


def test_released_migrations_are_as_they_were() -> None:
    assert changed() == []


def test_every_migration_of_a_release_is_frozen() -> None:
    """Who forgets ``python -m local.supabase.released`` at a release fails here."""
    (_, date), *_ = HEADING.findall(page("CHANGELOG.md"))
    if date != "not yet released":
        assert released().keys() == {migration.name for migration in MIGRATIONS.glob("*.sql")}
    assert FIRST_MIGRATION.name in released()


@pytest.fixture
def frozen(tmp_path: Path) -> tuple[Path, Path]:
    """A list, and a folder with one migration that is on it."""
    folder, file = tmp_path / "migrations", tmp_path / "released.sha256"
    folder.mkdir()
    (folder / FIRST_MIGRATION.name).write_bytes((MIGRATIONS / FIRST_MIGRATION.name).read_bytes())
    freeze(file, folder)
    return file, folder


def test_a_frozen_migration_may_have_others_after_it(frozen: tuple[Path, Path]) -> None:
    file, folder = frozen
    assert changed(file, folder) == []
    (folder / "29991231000000_more.sql").write_text("select 1;")
    assert changed(file, folder) == []
    freeze(file, folder)
    assert list(released(file)) == [FIRST_MIGRATION.name, "29991231000000_more.sql"]


@pytest.mark.parametrize("how", ["changed", "gone"])
def test_one_that_is_not_as_it_was_is_named(frozen: tuple[Path, Path], how: str) -> None:
    file, folder = frozen
    if how == "gone":
        (folder / FIRST_MIGRATION.name).unlink()
    else:
        with (folder / FIRST_MIGRATION.name).open("a") as migration:
            migration.write("\n")
    assert changed(file, folder) == [FIRST_MIGRATION.name]
    with pytest.raises(ValueError, match=FIRST_MIGRATION.name):
        freeze(file, folder)
