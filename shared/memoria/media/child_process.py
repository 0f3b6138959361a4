"""A decoding child as its parent sees it: one process, and the socket to it."""

import logging
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Any

from memoria import errors
from memoria.errors import EngineUnavailable, MemoriaError, Transient, UnreadableMedia
from memoria.media.channel import Closed, receive, send

log = logging.getLogger(__name__)

WALL_SECONDS = 60.0  # for one answer of a child, on a machine that is busy with other photos
START_SECONDS = 60.0
Answer = tuple[dict[str, Any], int | None]  # what it says, and a descriptor of pixels
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
_ERRORS = {
    error.code: error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, errors.Terminal)
}


class ChildProcess:
    """One process, and the socket to it."""

    def __init__(self, cpu_seconds: float) -> None:
        """Start it; it imports what it needs while we do something else."""
        self._cpu_seconds = cpu_seconds
        self._is_ready = False
        try:
            self._channel, theirs = socket.socketpair()
        except OSError as exc:
            raise _not_started(exc) from exc
        try:
            with theirs:
                self._process = _started(theirs.fileno())
        except OSError as exc:
            self._channel.close()
            raise _not_started(exc) from exc

    def open(self, descriptor: int, max_pixels: int) -> Answer:
        """Begin with a photo, and count its seconds from now on."""
        request = {"do": "open", "max_pixels": max_pixels, "seconds": self._cpu_seconds}
        return self.ask(request, descriptor)

    def ask(self, request: dict[str, Any], descriptor: int | None = None) -> Answer:
        """One answer. Raises the MemoriaError it tells, or UnreadableMedia where it ends."""
        self._wait_ready()
        try:
            send(self._channel, request, descriptor, seconds=WALL_SECONDS)
            answer, pixels = receive(self._channel, seconds=WALL_SECONDS)
        except TimeoutError as exc:
            self.end()
            raise ChildEnded(f"decoding took over {WALL_SECONDS:g} s") from exc
        except Closed as exc:
            raise self._ended() from exc
        if "bug" in answer:
            log.error("decoder_bug", extra={"facts": {"traceback": answer["bug"]}})
            raise MemoriaError("an internal error")
        if "error" in answer:
            raise _ERRORS.get(answer["error"], MemoriaError)(answer["message"])
        return answer, pixels

    def _wait_ready(self) -> None:
        if self._is_ready:
            return
        try:
            receive(self._channel, seconds=START_SECONDS)
        except (Closed, TimeoutError) as exc:
            self.end()
            raise EngineUnavailable("no decoder could be started: the log says why") from exc
        self._is_ready = True

    def _ended(self) -> MemoriaError:
        """Why it has closed its socket."""
        self._channel.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        self.end()
        if code == -signal.SIGXCPU:
            return ChildEnded(f"decoding took over {self._cpu_seconds:g} s")
        if code == -signal.SIGKILL:  # not by us: the system had no memory left
            return Transient("the system has killed a decoder")
        return ChildEnded("the decoder crashed")

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def end(self) -> None:
        """End it; one that reads its socket ends by itself."""
        self._channel.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)
        self._process.kill()
        self._process.wait()


def _not_started(error: OSError) -> EngineUnavailable:
    """Where there are no more processes, files or memory."""
    return EngineUnavailable(f"no decoder could be started: {error.strerror}")


def _started(descriptor: int) -> subprocess.Popen[bytes]:
    """A child that serves a socket."""
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "memoria.media.child", str(descriptor)],
        pass_fds=[descriptor],
        env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
        process_group=0,  # a Ctrl-C in a terminal is meant for the server
    )


class ChildEnded(UnreadableMedia):
    """The child came to its end over this photo."""
