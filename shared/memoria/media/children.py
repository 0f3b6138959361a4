"""Decoding in child processes of the instance: one hostile file costs one attempt, nobody else's.

Children are started with exec, not forked (docs/decisions/0003), and know none of our secrets.
Each (child_process.py) reads one photo at a time (child.py); the next photo is decoded by another
one meanwhile. One that runs away or crashes is replaced.
"""

import os
import queue
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from memoria.errors import MemoriaError, Transient
from memoria.media.budget import BUDGET, MemoryBudget
from memoria.media.channel import shared_bytes
from memoria.media.child_process import WALL_SECONDS, ChildEnded, ChildProcess
from memoria.media.photo import DEFAULT_MAX_PIXELS, Photo
from memoria.media.remote_photo import RemotePhoto

CHILDREN = 2
CPU_SECONDS = 20.0  # for one photo; the slowest honest ones take five


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
        self._free: queue.LifoQueue[ChildProcess] = queue.LifoQueue()
        self._all: set[ChildProcess] = set()
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

    def _taken(self) -> ChildProcess:
        """A child that is free, or one more, or the first to become free."""
        with suppress(queue.Empty):
            return self._free.get_nowait()
        if self._to_start.acquire(blocking=False):
            return self._started()
        try:
            return self._free.get(timeout=self._wait_seconds)
        except queue.Empty as exc:
            raise Transient("all decoders are busy with other photos") from exc

    def _open(
        self, child: ChildProcess, data: bytes, max_pixels: int, deadline: float
    ) -> RemotePhoto:
        descriptor = shared_bytes(data)
        try:
            answer, _ = child.open(descriptor, max_pixels)
        finally:
            os.close(descriptor)
        return RemotePhoto(child, self._budget, deadline, tuple(answer["size"]))

    def _started(self) -> ChildProcess:
        child = ChildProcess(self._cpu_seconds)
        for other in [other for other in list(self._all) if not other.is_alive]:
            self._all.discard(other)
        self._all.add(child)
        return child

    def _after(self, error: MemoriaError, child: ChildProcess) -> ChildProcess:
        """The child for the next photo: the same one, unless it came to its end."""
        if not isinstance(error, ChildEnded | Transient):
            try:
                child.ask({"do": "close"})
                return child
            except MemoriaError:
                pass
        child.end()
        return self._started()


def _end_all(children: set[ChildProcess]) -> None:
    for child in children:
        child.end()
