"""The folders of a run: of the photos and of the answer, looked at before any work; its own."""

import hashlib
import math
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from memoria.media.names import SUFFIXES, ending_of

MEGABYTE = 1_000_000
ANSWER_MB = 50  # people.json and the page, whose photos are made smaller to keep to 12 MB
SYSTEM_MB = 300  # PostgreSQL and the logs of a run; the stand-in for Storage holds the photos again


class FolderError(Exception):
    """A folder will not do; the message is one sentence that says why."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds."""

    photos: Mapping[str, Path]  # by name: relative to the folder, with forward slashes
    copies: Mapping[str, str]  # left out, because the same bytes have another name already
    others: Mapping[str, int]  # how many files were left out, by their ending
    refused: Mapping[str, str]  # left out photos, and why


def find_photos(folder: Path) -> dict[str, Path]:
    """Name -> file of every photo below a folder, but for hidden files and folders, and copies."""
    return dict(look_into(folder).photos)


def look_into(folder: Path, most_bytes: float = math.inf) -> Found:
    """What there is below a folder; an unreadable name is shown with replacement characters."""
    files = list(_visible(folder))
    named: dict[str, Path] = {}
    for path in files:
        if ending_of(path.name) in SUFFIXES:
            named[_unused(_readable(path.relative_to(folder)), named)] = path
    reasons = ((name, _refusal(path, most_bytes)) for name, path in named.items())
    refused = {name: reason for name, reason in reasons if reason}
    copies = dict(_copies({name: path for name, path in named.items() if name not in refused}))
    endings = (ending_of(path.name) for path in files)
    others = Counter(ending or "no ending" for ending in endings if ending not in SUFFIXES)
    photos = {name: path for name, path in named.items() if name not in {*copies, *refused}}
    return Found(photos, copies, others, refused)


def answer_folder(name: str, photos: Mapping[str, Path], state: Path) -> Path:
    """The folder for the answer, made and found writable, with room for the run's files.

    ``state`` is the folder of what is kept. Raises FolderError.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise FolderError("OUT: the folder's name is not UTF-8.") from None
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (FileExistsError, NotADirectoryError):
        raise FolderError(f"OUT: {name} is a file, or lies below one: name a folder.") from None
    except OSError as trouble:
        raise FolderError(f"OUT: {name} cannot be written to: {trouble.strerror}.") from None
    _require_room(folder, ANSWER_MB)
    total = sum(path.stat().st_size for path in photos.values())
    state.mkdir(parents=True, exist_ok=True)
    _require_room(state, SYSTEM_MB + total // MEGABYTE)
    return folder


def _require_room(folder: Path, megabytes: int) -> None:
    free = shutil.disk_usage(folder).free // MEGABYTE
    if free < megabytes:
        raise FolderError(f"{folder} has {free} MB left, and the demo needs {megabytes}.")


def _visible(folder: Path) -> Iterator[Path]:
    """Files below a folder, by name, that neither are hidden nor lie in a hidden folder."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file():
            yield path


def _refusal(path: Path, most_bytes: float) -> str:
    if not os.access(path, os.R_OK):
        return "cannot be read"
    return "larger than MAX_MEDIA_BYTES" if path.stat().st_size > most_bytes else ""


def _readable(path: Path) -> str:
    return os.fsencode(path.as_posix()).decode(errors="replace")


def _unused(name: str, used: Mapping[str, Path]) -> str:
    number = 2
    unused = name
    while unused in used:
        unused, number = f"{name} ({number})", number + 1
    return unused


def _copies(photos: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """A copy's name, and the name that its bytes had first; only equal sizes are read."""
    by_size = defaultdict(list)
    for name, path in photos.items():
        by_size[path.stat().st_size].append(name)
    for names in by_size.values():
        first: dict[str, str] = {}
        for name in names if len(names) > 1 else ():
            with photos[name].open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if (known := first.setdefault(digest, name)) != name:
                yield name, known


@contextmanager
def kept_for_this_run(folder: Path) -> Iterator[Path]:
    """A folder that is new and goes at the end; after a run that was killed, with the next one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
