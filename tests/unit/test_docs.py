"""What the documentation says is what the code does."""

import re
import subprocess
from pathlib import Path

import pytest

from memoria import errors
from memoria.cli import COMMANDS
from memoria.config import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CODES = sorted(
    {
        error.code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.Terminal | errors.Transient)
    }
)


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / line for line in listed.stdout.splitlines()]


@pytest.mark.parametrize("name", [field.upper() for field in Settings.model_fields])
def test_every_variable_is_documented(name: str) -> None:
    assert f"`{name}`" in README
    assert name in (ROOT / ".env.example").read_text()


@pytest.mark.parametrize("code", CODES)
def test_every_failure_reason_has_a_place_in_the_runbook(code: str) -> None:
    assert f"`{code}`" in (ROOT / "docs" / "operations.md").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"memoria {command}" in README


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", README + (ROOT / "CONTRIBUTING.md").read_text()))
    assert named <= targets


def documents() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_public_sql_function_is_documented() -> None:
    surface = (ROOT / "docs" / "sql-surface.md").read_text()
    migrations = "".join(path.read_text() for path in (ROOT / "supabase/migrations").glob("*.sql"))
    functions = set(re.findall(r"create (?:or replace )?function public\.(\w+)", migrations))
    assert {name for name in functions if name not in surface} == set()
