"""Half of a matrix product, tile by tile, on every core and in bounded memory.

Each thread multiplies and reads tiles of its own, with a BLAS of one thread. BLAS's own threads
would wait for each other in every product, and all but one would idle while a tile is read.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from memoria.arrays import F32
from memoria.container import cpu_threads

logger = logging.getLogger(__name__)

TILE = 1024
EVERY_S = 5.0
FEW_ROWS = 2 * TILE  # up to here, threads cost more than they save

Visit = Callable[[int, int, F32], None]
_one_at_a_time = threading.Lock()  # BLAS's number of threads is the process's


def visit_tiles(rows: F32, visit: Visit, *, step: str) -> None:
    """Calls ``visit(start, first, tile)`` for the tiles on and above the diagonal of rows @ rows.T.

    (n, d) float32. The tile holds the products of rows start.. and rows first.., start <= first; it
    is ``visit``'s to change, and overwritten afterwards. Calls may come from several threads at
    once, about in order. Memory: a tile of 4 MiB per thread.
    """
    starts = range(0, len(rows), TILE)
    corners = [(start, first) for start in starts for first in starts[start // TILE :]]
    progress = ProgressLog(step, len(corners))
    buffers = threading.local()

    def one(number: int) -> None:
        start, first = corners[number]
        left, right = rows[start : start + TILE], rows[first : first + TILE]
        if not hasattr(buffers, "tile"):
            buffers.tile = np.empty(TILE * TILE, dtype=np.float32)
        tile = buffers.tile[: len(left) * len(right)].reshape(len(left), len(right))
        visit(start, first, np.matmul(left, right.T, out=tile))
        progress.report(number)

    if len(rows) <= FEW_ROWS:
        for number in range(len(corners)):
            one(number)
    else:
        _on_all_cores(one, len(corners))


def _on_all_cores(one: Callable[[int], None], count: int) -> None:
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with (
        _one_at_a_time,
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(cpu_threads()) as pool,
    ):
        for _ in pool.map(one, range(count)):
            pass


class ProgressLog:
    """Logs one line every few seconds: a pass that is over sooner says nothing."""

    def __init__(self, step: str, total: int) -> None:
        self.step = step
        self.total = total
        self.said = time.monotonic()

    def report(self, done: int) -> None:
        """``done`` of ``total`` tiles are through."""
        if time.monotonic() - self.said >= EVERY_S:
            self.said = time.monotonic()
            logger.info("clustering_progress step=%s done=%d of=%d", self.step, done, self.total)
