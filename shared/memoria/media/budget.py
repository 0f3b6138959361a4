"""How many bytes of decoded photos one process may hold at once.

Several photos are answered at a time in a container of 2 GiB: large ones wait for each other
here, small ones never wait.
"""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from memoria.errors import Busy, MediaTooLarge
from memoria.malloc import give_back_memory

MIB = 1 << 20
LIMIT_BYTES = 800 * MIB  # of 2 GiB; models and libraries take up to 600 MiB, children 90
FREE_BYTES = 48 * MIB  # a photo of 16 megapixels in RGB; what needs less is not counted


class MemoryBudget:
    """Bytes to lend; safe to use from several threads."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES, free_bytes: int = FREE_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._free_bytes = free_bytes
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int, deadline: float = math.inf) -> Iterator[None]:
        """Wait until so many bytes are left, and hold them; never two of these in one thread.

        ``deadline`` is a moment of ``time.monotonic``. Raises MediaTooLarge for more than there
        will ever be, Busy where others hold too much until the deadline.
        """
        if size > self.limit_bytes:
            raise MediaTooLarge(
                f"decoding the photo takes {size // MIB} MiB, {self.limit_bytes // MIB} are allowed"
            )
        counted = size if size > self._free_bytes else 0
        with self._changed:
            left = None if deadline == math.inf else max(0.0, deadline - time.monotonic())
            if not self._changed.wait_for(
                lambda: counted == 0 or self._held + counted <= self.limit_bytes, left
            ):
                raise Busy("other photos hold the memory that this one needs")
            self._held += counted
        try:
            yield
        finally:
            if counted:
                give_back_memory()
            with self._changed:
                self._held -= counted
                self._changed.notify_all()


BUDGET = MemoryBudget()
