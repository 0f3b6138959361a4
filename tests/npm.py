"""Programs and packages from npm, installed once into the ignored ``.cache``."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.turns import one_at_a_time

SUPABASE_JS = "@supabase/supabase-js@2.119.1"
FOLDER = Path(__file__).parents[1] / ".cache" / "npm"


def installed(name: str) -> Path:
    """The program of a package given as ``name@version``; skips where npm cannot install it."""
    return _there(name, FOLDER / "node_modules" / ".bin" / name.rpartition("@")[0])


def package(name: str) -> Path:
    """The folder of a package given as ``name@version``; skips likewise."""
    return _there(name, FOLDER / "node_modules" / name.rpartition("@")[0])


def _there(name: str, path: Path) -> Path:
    with one_at_a_time(FOLDER):
        if not path.exists():
            _install(name, path)
    return path


def _install(name: str, path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"needs npm: {name} is not run")
    install = [npm, "install", "--prefix", str(FOLDER), "--no-fund", "--no-audit", name]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if not path.exists():
        pytest.skip(f"needs npm: it could not install {name}: {done.stderr.strip()[-200:]}")
