"""Decoding in child processes of the instance: one hostile file costs one attempt, nobody else's.

Children are started with exec, not forked (docs/decisions/0003), and know none of our secrets.
Each reads one photo at a time (child.py); the next photo is decoded by another one meanwhile. One
that runs away or crashes is replaced.
"""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from memoria import errors
from memoria.arrays import Image
from memoria.errors import EngineUnavailable, MemoriaError, Transient, UnreadableMedia
from memoria.media.budget import BUDGET, MemoryBudget
from memoria.media.channel import Closed, receive, send, shared_bytes, taken_images
from memoria.media.orientation import Box
from memoria.media.photo import DEFAULT_MAX_PIXELS, LoadedPhoto, Photo

CHILDREN = 2
CPU_SECONDS = 20.0  # for one photo; the slowest honest ones take five
WALL_SECONDS = 60.0  # for one answer of a child, on a machine that is busy with other photos
START_SECONDS = 60.0
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
_ERRORS = {
    error.code: error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, errors.Terminal)
}


class _Child:
    """One process, and the socket to it."""

    def __init__(self, cpu_seconds: float) -> None:
        """Start it; it imports what it needs while we do something else."""
        self._cpu_seconds = cpu_seconds
        ours, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment |= {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-m", "memoria.media.child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                process_group=0,  # a Ctrl-C in a terminal is meant for the server
            )
        self._channel = ours
        self._is_ready = False

    def open(self, descriptor: int, max_pixels: int) -> "_Answer":
        """Begin with a photo, and count its seconds from now on."""
        request = {"do": "open", "max_pixels": max_pixels, "seconds": self._cpu_seconds}
        return self.ask(request, descriptor)

    def ask(self, request: dict[str, Any], descriptor: int | None = None) -> "_Answer":
        """One answer. Raises the MemoriaError it tells, or UnreadableMedia where it ends."""
        self._wait_ready()
        try:
            self._channel.settimeout(WALL_SECONDS)
            send(self._channel, request, descriptor)
            answer, pixels = receive(self._channel)
        except TimeoutError as exc:
            self.end()
            raise _Ended(f"decoding took over {WALL_SECONDS:g} s") from exc
        except Closed as exc:
            raise self._ended() from exc
        if "error" in answer:
            raise _ERRORS.get(answer["error"], MemoriaError)(answer["message"])
        return answer, pixels

    def _wait_ready(self) -> None:
        if self._is_ready:
            return
        self._channel.settimeout(START_SECONDS)
        try:
            receive(self._channel)
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
            return _Ended(f"decoding took over {self._cpu_seconds:g} s")
        if code == -signal.SIGKILL:  # not by us: the system had no memory left
            return Transient("the system has killed a decoder")
        return _Ended("the decoder crashed")

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


_Answer = tuple[dict[str, Any], int | None]


class _Ended(UnreadableMedia):
    """The child came to its end over this photo."""


class Decoders:
    """Decoding children; may be used by several threads at once."""

    def __init__(
        self,
        count: int = CHILDREN,
        *,
        cpu_seconds: float = CPU_SECONDS,
        wait_seconds: float = WALL_SECONDS,
        budget: MemoryBudget = BUDGET,
    ) -> None:
        """Start one; the others when a photo finds none free, so that waking costs one import.

        ``wait_seconds``: how long a photo waits for a child, and for memory.
        """
        self._cpu_seconds, self._wait_seconds, self._budget = cpu_seconds, wait_seconds, budget
        self._free: queue.LifoQueue[_Child] = queue.LifoQueue()
        self._all: set[_Child] = set()
        self.close = weakref.finalize(self, _end_all, self._all)
        self._to_start = threading.Semaphore(count - 1)
        self._free.put(self._started())

    @contextmanager
    def opened(self, data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Iterator[Photo]:
        """A photo for as long as the block lasts, in a child of its own.

        Raises as decode.open_photo, and Transient where no child became free in time.
        """
        deadline = time.monotonic() + self._wait_seconds
        child = self._taken()
        if not child.is_alive:  # killed while it had nothing to do
            child.end()
            child = self._started()
        try:
            yield self._open(child, data, max_pixels, deadline)
            child.ask({"do": "close"})
        except MemoriaError as error:
            child = self._after(error, child)
            raise
        except BaseException:
            child.end()
            child = self._started()
            raise
        finally:
            self._free.put(child)

    def _taken(self) -> _Child:
        """A child that is free, or one more, or the first to become free."""
        with suppress(queue.Empty):
            return self._free.get_nowait()
        if self._to_start.acquire(blocking=False):
            return self._started()
        try:
            return self._free.get(timeout=self._wait_seconds)
        except queue.Empty as exc:
            raise Transient("all decoders are busy with other photos") from exc

    def _open(self, child: _Child, data: bytes, max_pixels: int, deadline: float) -> "_Remote":
        descriptor = shared_bytes(data)
        try:
            answer, _ = child.open(descriptor, max_pixels)
        finally:
            os.close(descriptor)
        return _Remote(child, self._budget, deadline, tuple(answer["size"]))

    def _started(self) -> _Child:
        child = _Child(self._cpu_seconds)
        for other in [other for other in list(self._all) if not other.is_alive]:
            self._all.discard(other)
        self._all.add(child)
        return child

    def _after(self, error: MemoriaError, child: _Child) -> _Child:
        """The child for the next photo: the same one, unless it came to its end."""
        if not isinstance(error, _Ended | Transient):
            try:
                child.ask({"do": "close"})
                return child
            except MemoriaError:
                pass
        child.end()
        return self._started()


def _end_all(children: set[_Child]) -> None:
    for child in children:
        child.end()


@dataclass(frozen=True, slots=True)
class _Remote:
    """A Photo in a child."""

    child: _Child = field(repr=False)
    budget: MemoryBudget = field(repr=False)
    deadline: float
    size: tuple[int, int]

    def frame(self, min_side: int | None = None) -> Image:
        """As photo.Photo says."""
        with self.loaded(min_side) as loaded:
            return loaded.frame

    @contextmanager
    def loaded(self, min_side: int | None) -> Iterator[LoadedPhoto]:
        """As photo.Photo says."""
        plan, _ = self.child.ask({"do": "plan", "min_side": min_side})
        with ExitStack() as held:
            held.enter_context(self.budget.hold(plan["bytes"], self.deadline))
            told, descriptor = self.child.ask({"do": "load", "min_side": min_side})
            frame = _images(descriptor, [told["shape"]])[0]
            loaded = _RemoteLoaded(self, frame, told["reduction"], tuple(told["corner"]), plan)
            if plan["bytes_again"]:
                held.close()  # a reduced frame is all there is until regions are asked for
            try:
                yield loaded
            finally:
                with suppress(MemoriaError):
                    self.child.ask({"do": "unload"})  # before the memory is another photo's


@dataclass(frozen=True, slots=True)
class _RemoteLoaded:
    """A LoadedPhoto in a child; its frame is here."""

    photo: _Remote
    frame: Image
    reduction: int
    corner: tuple[int, int]
    plan: dict[str, int]

    def regions(self, boxes: list[Box]) -> Iterator[Image]:
        """As photo.LoadedPhoto says."""
        with self.photo.budget.hold(self.plan["bytes_again"], self.photo.deadline):
            self.photo.child.ask({"do": "regions", "boxes": boxes})
            while True:
                answer, descriptor = self.photo.child.ask({"do": "next"})
                if descriptor is None:
                    return
                yield from _images(descriptor, answer["shapes"])


def _images(descriptor: int | None, shapes: list[list[int]]) -> list[Image]:
    if descriptor is None:
        raise MemoriaError("a decoder answered without pixels")
    return taken_images(descriptor, shapes)
