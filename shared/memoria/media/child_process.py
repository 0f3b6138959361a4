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
from memoria.arrays import Image
from memoria.errors import EngineUnavailable, MemoriaError, Transient, UnreadableMedia
from memoria.media.budget import MIB
from memoria.media.channel import Closed, receive, send
from memoria.media.shared_memory import KEPT_BYTES, SharedMemory, write

log = logging.getLogger(__name__)

WALL_SECONDS = 60.0  # for one answer of a child, on a machine that is busy with other photos
START_SECONDS = 60.0
Answer = dict[str, Any]
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
# How much freed memory a child keeps for the next photo: as far as glibc comes by itself after a
# large one, but always, since the first use of a page costs several times what copying it does.
_KEPT = {"MALLOC_MMAP_THRESHOLD_": f"{32 * MIB}", "MALLOC_TRIM_THRESHOLD_": f"{64 * MIB}"}
# by codes of their own: what a branch inherits is the code of a bug
_ERRORS = {
    error.code: error
    for error in vars(errors).values()
    if isinstance(error, type)
    and issubclass(error, errors.Terminal | errors.Transient)
    and "code" in vars(error)
}


class ChildProcess:
    """One process, the socket to it, and memory that is shared with it and nobody else."""

    def __init__(self, cpu_seconds: float) -> None:
        """Start it; it imports what it needs while we do something else."""
        self._cpu_seconds = cpu_seconds
        self._is_ready = False
        self._spare: SharedMemory | None = None
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

    def open(self, data: bytes, max_pixels: int) -> Answer:
        """Begin with a photo, and count its seconds from now on."""
        memory = self._memory()
        write(memory.descriptor, data)
        request = {"do": "open", "length": len(data), "max_pixels": max_pixels}
        answer = self.ask(request | {"seconds": self._cpu_seconds}, memory.descriptor)
        self._keep(memory)
        return answer

    def ask_pixels(self, request: dict[str, Any]) -> tuple[Answer, list[Image]]:
        """One answer, and the images that came with it. Raises as ``ask``."""
        memory = self._memory()
        answer = self.ask(request, memory.descriptor)
        if not answer["shapes"]:
            self._keep(memory)
            return answer, []
        return answer, memory.images(answer["shapes"], self._keep)

    def _memory(self) -> SharedMemory:
        """A piece in which nobody reads."""
        memory, self._spare = self._spare or SharedMemory(), None
        return memory

    def _keep(self, memory: SharedMemory) -> None:
        """For what comes next, unless a larger one is there."""
        if KEPT_BYTES >= memory.size > (self._spare.size if self._spare else 0):
            self._spare = memory

    def ask(self, request: dict[str, Any], descriptor: int | None = None) -> Answer:
        """One answer. Raises the MemoriaError it tells, or UnreadableMedia where it ends."""
        self._wait_ready()
        try:
            send(self._channel, request, descriptor, seconds=WALL_SECONDS)
            answer = self._received(WALL_SECONDS)
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
        return answer

    def _received(self, seconds: float) -> Answer:
        """What the child says; a descriptor, which none of ours sends, is not kept open."""
        answer, descriptor = receive(self._channel, seconds=seconds)
        if descriptor is not None:
            os.close(descriptor)
        return answer

    def _wait_ready(self) -> None:
        if self._is_ready:
            return
        try:
            self._received(START_SECONDS)
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
    environment |= {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"} | _KEPT
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "memoria.media.child", str(descriptor)],
        pass_fds=[descriptor],
        env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
        process_group=0,  # a Ctrl-C in a terminal is meant for the server
    )


class ChildEnded(UnreadableMedia):
    """The child came to its end over this photo."""
