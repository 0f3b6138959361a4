"""Anonymous memory that a process shares with its decoding child.

Nothing is written to a disk, and /dev/shm is not needed. It is kept from photo to photo: the first
use of a page costs several times what copying it does. The child writes and never maps it.
"""

import fcntl
import mmap
import os
import weakref
from collections.abc import Callable, Sequence

import numpy as np

from memoria.arrays import Image
from memoria.media.budget import MIB

KEPT_BYTES = 20 * MIB  # what is larger goes with its photo


class SharedMemory:
    """A piece of it, as the parent sees it; it grows and never shrinks."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("photo", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        weakref.finalize(self, os.close, self.descriptor)
        # whoever reads a page behind the end of a map's file is ended by the system
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        self._map: mmap.mmap | None = None

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return os.fstat(self.descriptor).st_size

    def images(
        self, shapes: Sequence[Sequence[int]], let_go: Callable[["SharedMemory"], object]
    ) -> list[Image]:
        """What lies in it, one image after the other; ``let_go`` is called behind the last one."""
        if self._map is None or len(self._map) < self.size:
            populated = mmap.MAP_SHARED | mmap.MAP_POPULATE
            self._map = mmap.mmap(self.descriptor, self.size, flags=populated)
        whole = np.frombuffer(self._map, np.uint8)
        weakref.finalize(whole, let_go, self).atexit = False
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        parts = np.split(whole[: ends[-1]], ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def write(descriptor: int, *parts: bytes | memoryview) -> None:
    """Put the parts there, one after the other."""
    at = 0
    for part in parts:
        with memoryview(part).cast("B") as view:
            end = at + len(view)
            while at < end:
                at += os.pwrite(descriptor, view[at - end :], at)


def read(descriptor: int, size: int) -> bytes:
    """The first bytes of what lies there."""
    data = b""
    while len(data) < size:  # a call reads at most 2 GiB
        part = os.pread(descriptor, size - len(data), len(data))
        if not part:
            raise EOFError(f"{len(data)} bytes lie there, not {size}")
        data += part
    return data
