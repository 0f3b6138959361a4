"""A ceiling of memory over a process and all its children, and the most they took."""

import atexit
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from benchmarks.server import family, resident

GIB = 1 << 30
_CGROUP = Path("/sys/fs/cgroup/memory")  # version 1; its limit is enforced by the kernel


class Ceiling:
    """Held by the kernel where a memory group can be made; measured ten times a second anyway."""

    def __init__(self, pid: int, limit_bytes: int = 2 * GIB) -> None:
        self._pid, self.peak, self._done = pid, 0, threading.Event()
        self._group = _CGROUP / f"memoria-bombs-{os.getpid()}"
        self.is_enforced = self._enforce(limit_bytes)
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

    def _enforce(self, limit_bytes: int) -> bool:
        try:
            self._group.mkdir()
            atexit.register(self._remove)
            (self._group / "memory.limit_in_bytes").write_text(str(limit_bytes))
            for pid in family(self._pid):
                (self._group / "cgroup.procs").write_text(str(pid))
        except OSError:
            return False
        return True

    def _remove(self) -> None:
        with suppress(OSError):  # where its processes have not ended
            self._group.rmdir()

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            self.peak = max(self.peak, sum(map(resident, family(self._pid))))
