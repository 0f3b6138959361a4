"""Child processes with a log and a health check, which never outlive us."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

_BIND_TROUBLES = {errno.EADDRINUSE: "in use by another program", errno.EACCES: "not ours to use"}
FREEING_SECONDS = 5.0  # how long a port may stay with what is left of a service that was killed
SOCKET = "fd://{}"  # in a service's arguments: the socket that it gets
# A child tells the guard of itself before it becomes the service, and until then holds the guard's
# pipe open: at no moment it is one that nobody knows of. A shell and not preexec_fn, because
# Python drops the KeyboardInterrupt of a Ctrl-C that arrives while it forks for one.
_TELL_AND_BECOME = 'echo "watch $$" >&0; exec "$@" </dev/null'


class ServiceError(Exception):
    """A service ended, or did not come up in time; the message holds the end of its log."""


class PortInUse(ServiceError):
    """Somebody else listens where a service was to."""


class Guard:
    """Our side of ``local/processes/guard.py``."""

    def __init__(self, patience_seconds: float = 5, holding: tuple[int, ...] = ()) -> None:
        """Give services this long between being asked to end and being killed.

        ``holding`` are descriptors that stay open until everything has ended.
        """
        script = Path(__file__).with_name("guard.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(script), str(patience_seconds)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches only us
            pass_fds=holding,
        )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin

    def tell(self, word: str, what: int | Path) -> None:
        """``watch`` or ``forget`` a process group; ``keep`` or ``remove`` a folder in the end."""
        os.write(self.pipe, f"{word} {what}\n".encode())

    @property
    def pipe(self) -> int:
        """The file descriptor that the guard is told on; its end is what the guard waits for."""
        return self._pipe.fileno()

    def let_go(self) -> None:
        """Have everything ended; returns at once."""
        self._pipe.close()

    def wait(self) -> None:
        """Until everything has ended and every folder is gone."""
        self._process.wait()


@dataclass(slots=True)
class Service:
    """One child process that leads a session of its own, with its log file."""

    name: str
    argv: Sequence[str]
    environ: Mapping[str, str] = field(repr=False)
    log: Path
    guard: Guard = field(repr=False)
    ready_url: str | None = None  # answers 200 once the service can be used
    port: int | None = None  # listened on by the socket that stands for SOCKET in argv
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _starts: int = field(default=0, init=False)

    @property
    def pid(self) -> int | None:
        """The process that was started last, until it was waited for."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; the log is appended to. Raises PortInUse.

        The port is bound before the service begins: whatever answers there is the service.
        """
        with ExitStack() as exits:
            log = exits.enter_context(self.log.open("ab"))
            patience = FREEING_SECONDS if self._starts else 0.0
            sockets = (
                [exits.enter_context(bound(self.name, self.port, patience))] if self.port else []
            )
            self._starts += 1
            argv = [part.format(*(one.fileno() for one in sockets)) if part == SOCKET else part
                    for part in self.argv]  # fmt: skip
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _TELL_AND_BECOME, self.name, *argv],
                env=dict(self.environ),
                stdin=self.guard.pipe,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[one.fileno() for one in sockets],
            )

    def wait_ready(self, seconds: float = 60) -> None:
        """Poll ``ready_url``. Raises ServiceError where it ends or does not answer in time."""
        deadline = time.monotonic() + seconds
        while self.ready_url and (trouble := _trouble(self.ready_url)):
            if not self.running or time.monotonic() > deadline:
                what = f"is not ready ({trouble})" if self.running else "ended"
                raise ServiceError(f"{self.name} {what}:\n{self.log_tail()}")
            time.sleep(0.05)

    def log_tail(self, lines: int = 15) -> str:
        """The end of what it wrote."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def kill(self) -> None:
        """SIGKILL for it and whatever it started."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self.wait()

    def stop(self, seconds: float = 10) -> None:
        """SIGTERM, so that what is in flight may end; SIGKILL for what is left after a while."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            self.kill()

    def wait(self) -> None:
        """Until it has ended."""
        if self._process is not None:
            self._process.wait()
            with suppress(BrokenPipeError, ValueError):  # the guard has been let go
                self.guard.tell("forget", self._process.pid)
            self._process = None


def bound(name: str, port: int, patience_seconds: float = 0) -> socket.socket:
    """A socket that has the port of the loopback interface. Raises PortInUse."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            made.bind(("127.0.0.1", port))
            return made
        except OSError as trouble:
            what = _BIND_TROUBLES.get(trouble.errno or 0)
            if what and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            made.close()
            if not what:
                raise
            raise PortInUse(f"Port {port}, where {name} was to listen, is {what}.") from None


def _trouble(url: str) -> str:
    """Why a URL does not answer with 200; empty where it does."""
    try:  # plain HTTP on this machine: no poll reads all certificates, which takes 50 ms
        answer = httpx.get(url, timeout=30, trust_env=False, verify=False)
    except httpx.TransportError as exc:
        return f"{url}: {exc}"
    return "" if answer.is_success else answer.text
