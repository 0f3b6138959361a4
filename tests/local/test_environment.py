"""local/environment.sh: a wrong Python is refused, a spoilt .venv is made anew."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "local" / "environment.sh"
# A Python that says which version it is, makes a .venv of itself and writes down what it installs.
PYTHON = """#!/bin/sh
case "$*" in
  "-c "*) exit {unusable} ;;
  --version) echo "Python {version}" ;;
  "-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
  "-m pip install"*"$REFUSED") echo "ERROR: No matching distribution found for numpy" >&2; exit 1 ;;
  "-m pip install"*) echo "$*" >> installed; echo "Collecting numpy-quaternion==1.0 (from -r x)"
    [ -z "$UNTIL" ] || timeout 20 sh -c 'until [ -e "$UNTIL" ]; do sleep 0.02; done' || exit 3 ;;
esac
"""


def python(folder: Path, version: str, *, usable: bool) -> Path:
    program = folder / f"python-{version}"
    program.write_text(PYTHON.format(version=version, unusable=int(not usable)))
    program.chmod(0o755)
    return program


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text("numpy==1.0 \\\n    --hash=sha256:00\n")
    return tmp_path


def fill(
    folder: Path, interpreter: Path, refused: str = "nothing"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), "demo", "requirements.txt"],
        cwd=folder,
        env=os.environ | {"PYTHON": str(interpreter), "REFUSED": refused},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_wrong_python_is_named_in_one_sentence_and_leaves_nothing(folder: Path) -> None:
    done = fill(folder, python(folder, "3.14.0", usable=False))
    assert done.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert "is Python 3.14.0" in done.stderr
    assert not (folder / ".venv").exists()


def test_a_missing_python_is_named_too(folder: Path) -> None:
    done = fill(folder, folder / "python9")
    assert done.returncode == 1
    assert "python9 is not there" in done.stderr


def test_a_venv_of_a_wrong_python_is_made_anew(folder: Path) -> None:
    spoilt = folder / ".venv" / "bin" / "python"
    spoilt.parent.mkdir(parents=True)
    python(folder, "3.9.0", usable=False).rename(spoilt)
    done = fill(folder, python(folder, "3.12.0", usable=True))
    assert done.returncode == 0, done.stderr
    assert "1 packages" in done.stdout
    assert "1 of 1  numpy-quaternion " in done.stdout
    assert (folder / ".venv" / "demo").exists()
    assert "--require-hashes -r requirements.txt" in (folder / "installed").read_text()


@pytest.mark.parametrize("refused", ["-r requirements.txt", "--editable ."])
def test_without_an_index_it_says_what_the_first_run_needs(folder: Path, refused: str) -> None:
    done = fill(folder, python(folder, "3.12.0", usable=True), refused)
    assert done.returncode == 1
    assert "The first run needs PyPI (or a mirror of it" in done.stderr
    assert not (folder / ".venv" / "demo").exists()


def test_a_good_venv_is_kept(folder: Path) -> None:
    good = python(folder, "3.12.0", usable=True)
    assert fill(folder, good).returncode == 0
    (folder / ".venv" / "kept").touch()
    assert fill(folder, good).returncode == 0
    assert (folder / ".venv" / "kept").exists()


def test_each_package_is_said_when_pip_comes_to_it(folder: Path) -> None:
    """Debian's awk, which did this once, keeps pip's lines until it has 4 KB of them."""
    seen = folder / "seen"
    interpreter = python(folder, "3.12.0", usable=True)
    with subprocess.Popen(
        [str(SCRIPT), "demo", "requirements.txt"],
        cwd=folder,
        env=os.environ | {"PYTHON": str(interpreter), "UNTIL": str(seen), "REFUSED": "-"},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout
        assert any("1 of 1" in line for line in running.stdout)
        seen.touch()
        running.stdout.read()
    assert running.returncode == 0
