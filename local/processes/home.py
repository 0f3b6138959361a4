"""What is kept between two starts: the keys, the database, what was uploaded; in one folder.

One process at a time has it, and the guard of that process until everything has ended.
"""

import fcntl
import json
import os
import secrets
import shlex
import time
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from local.supabase.keys import Keys
from local.supabase.migrations import MIGRATIONS

_STAND_INS = Path(__file__).parents[1] / "supabase"
_APP = Path(__file__).parents[1] / "demo" / "app.sql"
FIRST_PORT = 8081
POSSIBLE_PORTS = range(1024, 65_531)  # the first of five
_PATIENCE_SECONDS = 15  # for the guard of a run that was killed


class HomeInUse(Exception):
    """Another process has the folder; the message names it."""


class Home:
    """Take it before use; it is let go when this process and its guard have ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data = folder / f"data-{_origin()}"

    def take(self) -> "Home":
        """Have it for this process. Raises HomeInUse."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._locked():
            pid = os.pread(self._lock, 20, 0).decode()
            if _is_alive(pid) or time.monotonic() > deadline:
                os.close(self._lock)
                raise HomeInUse(f"process {pid} serves from {self.folder} already")
            time.sleep(0.1)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)
        for private in (self.storage, self.logs):
            private.mkdir(parents=True, exist_ok=True)
            private.chmod(0o700)
        self.keys, self.callback_secret = self._secrets()
        return self

    def _locked(self) -> bool:
        with suppress(BlockingIOError):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def leave(self) -> None:
        """Let go, as far as this process is concerned."""
        os.close(self._lock)

    @property
    def lock(self) -> int:
        """The descriptor that holds the folder: who inherits it holds it too."""
        return self._lock

    @property
    def database(self) -> Path:
        """PostgreSQL's folder."""
        return self._data / "postgres"

    @property
    def storage(self) -> Path:
        """The bytes of what was uploaded."""
        return self._data / "storage"

    @property
    def logs(self) -> Path:
        """One file a service."""
        return self.folder / "logs"

    @property
    def first_port(self) -> int:
        """Of the five that ``make serve`` had the last time."""
        file = self.folder / "first-port"
        text = file.read_text() if file.exists() else ""
        return int(text) if text.isdecimal() and int(text) in POSSIBLE_PORTS else FIRST_PORT

    def keep_first_port(self, port: int) -> None:
        """For the next start, which names none."""
        (self.folder / "first-port").write_text(str(port))

    @property
    def made(self) -> bool:
        """Whether the database is whole; half of one is made anew."""
        return (self._data / "made").exists()

    def mark_made(self) -> None:
        """From now on it is kept."""
        (self._data / "made").touch()

    def older(self) -> list[Path]:
        """Databases that another version of Memoria made, which this one leaves alone."""
        return [path for path in sorted(self.folder.glob("data-*")) if path != self._data]

    def _secrets(self) -> tuple[Keys, str]:
        file = self.folder / "keys.json"
        if not file.exists():
            fresh = asdict(fresh_keys()) | {"callback_secret": secrets.token_urlsafe(24)}
            _write_private(file, json.dumps(fresh))
        kept = json.loads(file.read_text())
        callback_secret = str(kept.pop("callback_secret"))
        return Keys(**kept), callback_secret

    def write_environment(self, values: dict[str, str]) -> Path:
        """A file to source in a shell."""
        lines = (f"export {name}={shlex.quote(value)}" for name, value in values.items())
        file = self.folder / "env"
        _write_private(file, "\n".join(lines) + "\n")
        return file


def fresh_keys() -> Keys:
    """Keys of a new project."""
    return Keys(
        secret=f"sb_secret_{secrets.token_urlsafe(16)}",
        publishable=f"sb_publishable_{secrets.token_urlsafe(16)}",
        jwt_secret=secrets.token_hex(32),
    )


def _origin() -> str:
    """What a database is made from at its start: another start is another database.

    Later migrations are applied to the database that is there, as everywhere.
    """
    first = min(MIGRATIONS.glob("*.sql"))
    texts = [path.read_bytes() for path in (*sorted(_STAND_INS.glob("*.sql")), first, _APP)]
    return sha256(b"".join(texts)).hexdigest()[:8]


def _is_alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write_private(file: Path, text: str) -> None:
    partial = file.with_suffix(".new")
    partial.touch(0o600)
    partial.chmod(0o600)
    partial.write_text(text)
    partial.replace(file)
