"""Programs from npm, installed once into the ignored ``.cache``."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / ".cache" / "npm"


def installed(package: str) -> Path:
    """The program of a package given as ``name@version``; skips where npm cannot install it."""
    program = FOLDER / "node_modules" / ".bin" / package.rpartition("@")[0]
    if program.exists():
        return program
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"needs npm: {package} is not run")
    FOLDER.mkdir(parents=True, exist_ok=True)
    install = [npm, "install", "--prefix", str(FOLDER), "--no-fund", "--no-audit", package]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if not program.exists():
        pytest.skip(f"needs npm: it could not install {package}: {done.stderr.strip()[-200:]}")
    return program
