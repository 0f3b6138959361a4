"""Decoding in child processes of the instance: one hostile file costs one attempt, nobody else's.

Children are started with exec, not forked (docs/decisions/0003), and know none of our secrets.
Each (child_process.py) reads one photo at a time (child.py); the next photo is decoded by another
one meanwhile. One that runs away or crashes is replaced.
"""

import queue
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from memoria.errors import Busy, EngineUnavailable, MemoriaError
from memoria.media.budget import BUDGET, MemoryBudget
from memoria.media.child_process import WALL_SECONDS, ChildProcess
from memoria.media.photo import DEFAULT_MAX_PIXELS
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
        self._free: queue.LifoQueue[ChildProcess | None] = queue.LifoQueue()  # None: not started
        self._all: set[ChildProcess] = set()
        self.close = weakref.finalize(self, _end_all, self._all)
        for child in (*[None] * (count - 1), self._started()):
            self._free.put(child)

    @contextmanager
    def opened(self, data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Iterator[RemotePhoto]:
        """A photo for as long as the block lasts, in a child of its own.

        Raises as decode.open_photo, and Busy where no child became free in time.
        """
        deadline = time.monotonic() + self._wait_seconds
        child = self._taken()
        try:
            child = self._alive(child)
            yield self._open(child, data, max_pixels, deadline)
        except MemoriaError:
            raise
        except BaseException:
            if child is not None:
                child.end()  # in the middle of something, perhaps
            raise
        finally:
            self._give_back(child)

    def _taken(self) -> ChildProcess | None:
        """A child that is free, or the first to become free; None where one is to be started."""
        try:
            return self._free.get(timeout=self._wait_seconds)
        except queue.Empty as exc:
            raise Busy("all decoders are busy with other photos") from exc

    def _alive(self, child: ChildProcess | None) -> ChildProcess:
        """The child itself, unless it was killed while it had nothing to do."""
        return child if child is not None and child.is_alive else self._next(child)

    def _next(self, child: ChildProcess | None) -> ChildProcess:
        """A new one in its place."""
        if child is not None:
            child.end()
        return self._started()

    def _open(
        self, child: ChildProcess, data: bytes, max_pixels: int, deadline: float
    ) -> RemotePhoto:
        answer = child.open(data, max_pixels)
        return RemotePhoto(child, self._budget, deadline, tuple(answer["size"]))

    def _started(self) -> ChildProcess:
        child = ChildProcess(self._cpu_seconds)
        for other in [other for other in list(self._all) if not other.is_alive]:
            self._all.discard(other)
        self._all.add(child)
        return child

    def _give_back(self, child: ChildProcess | None) -> None:
        """A child's place, whatever happens here: that is no fault of the photo that was read."""
        after = None
        try:
            after = self._after(child)
        finally:
            self._free.put(after)

    def _after(self, child: ChildProcess | None) -> ChildProcess | None:
        """The child for the next photo: the same one, unless it came to its end."""
        with suppress(Exception):  # of one that answers nonsense, too
            if child is not None and child.is_alive:
                child.ask({"do": "close"})
                return child
        with suppress(EngineUnavailable):
            return self._next(child)
        return None


def _end_all(children: set[ChildProcess]) -> None:
    for child in list(children):
        child.end()
