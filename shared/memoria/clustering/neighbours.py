"""Each face's nearest faces, exactly, from half a matrix product in bounded memory."""

import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32, Index
from memoria.clustering.tiles import visit_tiles

U64 = NDArray[np.uint64]

ROW_SHIFT = np.uint64(32)
DISTANCE_BITS = np.uint64(0xFFFFFFFF)
SLACK = 1e-6  # more than the rounding error of a float32 product of unit rows
PAIRS_AT_ONCE = 1 << 17  # of a tile: copies are all equally near, and take no more memory


class NeighbourLists(NamedTuple):
    """The nearest other rows of each row, nearest first; of equal ones the lowest row number."""

    distances: F32  # (n, count) cosine, 0..2
    rows: Index  # (n, count) their numbers


def nearest_neighbours(rows: F32, count: int) -> NeighbourLists:
    """The ``count`` nearest other rows of each row.

    (n, d) float32 unit rows, 0 < count < n. Each pair's product is computed once and serves both
    rows; what a tile holds that is no nearer than a row's ``count``-th best so far is passed over
    by one comparison. Memory: the tiles and about 60 * n * count bytes.
    """
    nearest = _Nearest(len(rows), count)
    visit_tiles(rows, nearest.take, step="nearest_neighbours")
    return nearest.lists()


class _Nearest:
    """Pairs that may still be among the ``count`` best of their row."""

    def __init__(self, rows: int, count: int) -> None:
        self.rows = rows
        self.count = count
        self.floor = np.full(
            rows, -np.inf, dtype=np.float32
        )  # of each row: a similarity below is not among its best
        # Above which it must be where all columns are over ``equals``, the highest one that is as
        # near as the ``count``-th best: of equal ones the lowest count.
        self.strict = np.full(rows, -np.inf, dtype=np.float32)
        self.equals = np.full(rows, rows)
        self.keys: list[U64] = []
        self.columns: list[NDArray[np.int32]] = []
        self.pending = 0
        self.lock = threading.Lock()

    def take(self, start: int, first: int, tile: F32) -> None:
        """Notes a tile's pairs for both of their rows. Threads may call it at once."""
        if first == start:
            np.fill_diagonal(tile, -np.inf)
        if start == 0:
            self.raise_floors(first, tile)
        self.note_pairs(start, first, tile)
        if first != start:
            self.note_pairs(first, start, tile.T)

    def raise_floors(self, first: int, tile: F32) -> None:
        """Raises the floors of a tile's columns before its pairs are noted.

        The tile's rows are dealt into ``count`` groups. In each column, the least of the groups'
        best similarities is reached by ``count`` rows at least: what is below is not needed.
        """
        group = len(tile) // self.count
        if group:
            groups = tile[: group * self.count].reshape(self.count, group, -1)
            floor = groups.max(axis=1).min(axis=0) - SLACK
            with self.lock:
                known = self.floor[first : first + tile.shape[1]]
                np.maximum(known, floor, out=known)

    def note_pairs(self, start: int, first: int, tile: F32) -> None:
        """Notes what in a tile may be among the best of its rows, which begin at ``start``."""
        above = tile > self.floors(slice(start, start + len(tile)), first)[:, None]
        if np.count_nonzero(above) > PAIRS_AT_ONCE and len(tile) > 1:
            half = len(tile) // 2
            self.note_pairs(start, first, tile[:half])
            self.note_pairs(start + half, first, tile[half:])
            return
        if tile.flags.c_contiguous:
            row, column = np.divmod(np.flatnonzero(above), tile.shape[1])
        else:
            column, row = np.divmod(np.flatnonzero(above.T), tile.shape[0])
        distance = np.maximum(1 - tile[row, column], 0)
        bits = distance.view(np.uint32).astype(np.uint64)  # not negative: they sort as floats do
        keys = ((row + start).astype(np.uint64) << ROW_SHIFT) | bits
        with self.lock:
            self.keys.append(keys)
            self.columns.append((column + first).astype(np.int32))
            self.pending += len(row)
            if self.pending > self.rows * self.count:
                self.prune()

    def floors(self, rows: slice, first: int) -> F32:
        """What similarities of rows to columns from ``first`` on must be above."""
        with self.lock:
            floor = self.floor[rows]
            strict = np.maximum(self.strict[rows], floor)
            return np.where(self.equals[rows] < first, strict, floor)

    def prune(self) -> None:
        """Raises the floors to each row's ``count``-th best, drops what is below."""
        keys, columns = np.concatenate(self.keys), np.concatenate(self.columns)
        ordered = np.sort(keys)
        begin = np.searchsorted(ordered, np.arange(self.rows + 1).astype(np.uint64) << ROW_SHIFT)
        full = np.flatnonzero(np.diff(begin) >= self.count)
        last = np.full(self.rows, np.iinfo(np.uint64).max)
        last[full] = ordered[begin[full] + self.count - 1]
        kept = np.flatnonzero(keys <= last[keys >> ROW_SHIFT])
        if len(kept) > 2 * self.rows * self.count:  # copies: more are equal to the last than fit
            kept = kept[_best(keys[kept], columns[kept], self.rows, self.count)]
        keys, columns = keys[kept], columns[kept]
        self.keys, self.columns, self.pending = [keys], [columns], 0
        row = keys >> ROW_SHIFT
        equal = keys == last[row]
        self.equals[full] = 0
        np.maximum.at(self.equals, row[equal], columns[equal])
        distance = _distances(last[full])
        self.strict[full] = np.where(distance > 0, 1 - distance, np.inf)
        self.floor[full] = 1 - distance - np.float32(SLACK)

    def lists(self) -> NeighbourLists:
        """The ``count`` best of every row."""
        self.prune()
        keys, columns = self.keys[0], self.columns[0]
        best = _best(keys, columns, self.rows, self.count)
        shape = (self.rows, self.count)
        index = columns[best].astype(np.intp)
        return NeighbourLists(_distances(keys[best]).reshape(shape), index.reshape(shape))


def _best(keys: U64, columns: NDArray[np.int32], rows: int, count: int) -> Index:
    """Which are the ``count`` best of each row, of equal ones the lowest columns; sorted by row."""
    order = np.lexsort((columns, keys))
    row = (keys[order] >> ROW_SHIFT).astype(np.intp)
    begin = np.searchsorted(row, np.arange(rows))
    best: Index = order[np.arange(len(order)) - begin[row] < count]
    return best


def _distances(keys: U64) -> F32:
    return (keys & DISTANCE_BITS).astype(np.uint32).view(np.float32)
