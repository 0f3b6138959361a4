"""A ceiling of memory over a process and all its children, and the most they took."""

import atexit
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.server import family, resident

GIB, MIB = 1 << 30, 1 << 20


@dataclass(frozen=True, slots=True)
class _Kernel:
    """Where memory groups are made, and what their files are called."""

    root: Path
    limit: str
    peak: str


_KERNELS = (
    _Kernel(Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
    _Kernel(Path("/sys/fs/cgroup"), "memory.max", "memory.peak"),
)


class Ceiling:
    """Held by the kernel where a memory group can be made; measured ten times a second anyway."""

    def __init__(self, pid: int, limit_bytes: int = 2 * GIB) -> None:
        self._pid, self.peak, self._done = pid, 0, threading.Event()
        self._limit = limit_bytes
        self._group: Path | None = None
        self._kernel = next((kernel for kernel in _KERNELS if self._held_by(kernel)), None)
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watcher.join()

    def take(self) -> int:
        """The peak since the last call, bytes."""
        peak, self.peak = self.peak, 0
        return peak

    def told(self) -> str:
        """Who holds the ceiling, and what the kernel counted under it, in a sentence."""
        if self._kernel is None or self._group is None:
            return f"{self._limit // MIB} MiB: measured only, no memory group can be made here"
        limit = int((self._group / self._kernel.limit).read_text())
        peak = int((self._group / self._kernel.peak).read_text())
        inside = len((self._group / "cgroup.procs").read_text().split())
        return (
            f"{limit // MIB} MiB, held by the kernel over {inside} processes:"
            f" with files' pages they took {peak // MIB} MiB at most"
        )

    def _held_by(self, kernel: _Kernel) -> bool:
        group = kernel.root / f"memoria-bombs-{os.getpid()}"
        try:
            group.mkdir()
            atexit.register(_remove, group)
            (group / kernel.limit).write_text(str(self._limit))
            for pid in family(self._pid):
                (group / "cgroup.procs").write_text(str(pid))
        except OSError:
            return False
        self._group = group
        return True

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            self.peak = max(self.peak, sum(map(resident, family(self._pid))))


def _remove(group: Path) -> None:
    with suppress(OSError):  # where its processes have not ended
        group.rmdir()
