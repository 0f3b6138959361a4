"""Memoria's part of an app's own ``supabase/`` folder: what to write there, and what to leave.

Migrations get versions that sort after the app's own, so that ``supabase db push`` from the app's
folder applies both. What was written is recorded, so that a later release knows what it may
replace: a file that somebody edited is named and left.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from memoria.errors import InvalidRequest

RECORD = "memoria.json"
CONFIG = "config.toml"
MIGRATIONS = "migrations/"
FUNCTION = "functions/ml-callback/"
_TABLE = """
# Memoria's callback carries a secret and a signature of its own, no user's token.
[functions.ml-callback]
verify_jwt = false
"""

Files = Mapping[str, bytes]  # path below supabase/ -> content


class CannotInstall(InvalidRequest):
    """The folder is not one that Memoria can be put into."""


@dataclass(frozen=True)
class Installed:
    """One file of ours: where it went, and what it held then."""

    path: str
    sha256: str


@dataclass
class Record:
    """What an app's folder holds of ours: source -> file, as of a release."""

    release: str
    files: dict[str, Installed] = field(default_factory=dict)

    @classmethod
    def read(cls, text: bytes) -> Self:
        """Raises CannotInstall where it is none."""
        try:
            known = json.loads(text)
            files = {source: Installed(**entry) for source, entry in known["files"].items()}
            return cls(str(known["release"]), files)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CannotInstall(f"supabase/{RECORD} is not what memoria wrote") from None

    def text(self) -> bytes:
        files = {source: vars(entry) for source, entry in sorted(self.files.items())}
        return (json.dumps({"release": self.release, "files": files}, indent=2) + "\n").encode()


@dataclass
class Plan:
    """What to write (the record last), what somebody edited, and what of that is behind."""

    writes: dict[str, bytes] = field(default_factory=dict)
    edited: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)


def digest(content: bytes) -> str:
    """SHA-256 in hex, the same with the line endings of Windows."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def plan(ours: Files, theirs: Files, release: str, now: str) -> Plan:
    """What brings ``theirs`` to our release. ``now`` is a version: YYYYMMDDHHMMSS, UTC.

    Raises CannotInstall for a folder without config.toml, or whose config.toml asks for a token of
    the callback, and where a migration of an installed release is another one now.
    """
    if CONFIG not in theirs:
        raise CannotInstall("no supabase/config.toml there: supabase init makes one")
    record = Record.read(theirs[RECORD]) if RECORD in theirs else Record(release)
    merge = _Merge(theirs, record, now)
    for source in sorted(ours):
        if source.startswith(MIGRATIONS):
            merge.migration(source, ours[source])
        else:
            merge.function_file(source, ours[source])
    config = with_function(_text(theirs[CONFIG]))
    if config is not None:
        merge.plan.writes[CONFIG] = config.encode()
    record.release = release
    if record.text() != theirs.get(RECORD):
        merge.plan.writes[RECORD] = record.text()
    return merge.plan


@dataclass
class _Merge:
    """One release into one folder; fills the plan and brings the record up to date."""

    theirs: Files
    record: Record
    now: str
    plan: Plan = field(default_factory=Plan)

    def migration(self, source: str, content: bytes) -> None:
        """A new one gets a version that sorts last; one that is there is never touched."""
        known = self.record.files.get(source)
        if known is None:
            path = self._copy_of(content) or self._new_path(source)
            self.record.files[source] = Installed(path, digest(content))
            if path not in self.theirs:
                self.plan.writes[path] = content
        elif known.sha256 != digest(content):
            raise CannotInstall(f"{source} was released, and is another one in this release")
        elif self._differs(known.path, known.sha256):
            self.plan.edited.append(known.path)

    def function_file(self, source: str, content: bytes) -> None:
        """Replaced only where it still is what was written."""
        known, new = self.record.files.get(source), digest(content)
        was = known.sha256 if known else ""
        if source not in self.theirs or not self._differs(source, was):
            if self._differs(source, new):
                self.plan.writes[source] = content
        elif self._differs(source, new):
            self.plan.edited.append(source)
            if was != new:
                self.plan.behind.append(source)
            return
        self.record.files[source] = Installed(source, new)

    def _differs(self, path: str, sha256: str) -> bool:
        return path not in self.theirs or digest(self.theirs[path]) != sha256

    def _copy_of(self, content: bytes) -> str | None:
        """A migration that an install which was cut off had written already."""
        migrations = (path for path in sorted(self.theirs) if path.startswith(MIGRATIONS))
        return next((path for path in migrations if not self._differs(path, digest(content))), None)

    def _new_path(self, source: str) -> str:
        versions = [
            path.removeprefix(MIGRATIONS).partition("_")[0]
            for path in (*self.theirs, *self.plan.writes)
            if path.startswith(MIGRATIONS)
        ]
        newest = max((version for version in versions if version.isdigit()), default="")
        own, _, name = source.removeprefix(MIGRATIONS).partition("_")
        if newest < own <= self.now:  # as a database has it that came with Memoria: make serve's
            return f"{MIGRATIONS}{own}_{name}"
        version = self.now if self.now > newest else str(int(newest) + 1)
        return f"{MIGRATIONS}{version}_{name}"


def with_function(text: str) -> str | None:
    """The config with the callback's entry, else as it was; None where it has one."""
    functions = _parsed(text).get("functions", {})
    if "ml-callback" not in functions:
        added = f"{text.rstrip()}\n{_TABLE}"
        if "ml-callback" in _parsed(added).get("functions", {}):
            return added
    elif functions["ml-callback"].get("verify_jwt", True) is False:
        return None
    raise CannotInstall(f"supabase/{CONFIG}: [functions.ml-callback] must say verify_jwt = false")


def _text(config: bytes) -> str:
    try:
        return config.decode()
    except UnicodeDecodeError as problem:
        raise CannotInstall(f"supabase/{CONFIG} is no text in UTF-8: {problem.reason}") from problem


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise CannotInstall(f"supabase/{CONFIG} cannot be read: {problem}") from problem
