"""Faces, and groups of them as weighted sums: all that the second pass asks of them.

The mean similarity of two groups is the product of their means, and how alike a group's faces are
to each other follows from the length of its sum, so no pair of faces is ever looked at again.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32, F64, Index
from memoria.clustering.same_photo import SharedPhotos

BLOCK = 256  # pairs multiplied at once: their rows stay in the CPU's cache


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """What the second pass knows of the faces of an event."""

    rows: F32  # (n, d) unit length
    weight: F32  # (n,) over 0, at most 1: how much of a good photo's evidence each face gives
    founds: NDArray[np.bool_]  # (n,) whether it can make a person, or only be taken in by one
    photos: SharedPhotos
    near: tuple[Index, Index]  # (m,), (m,) pairs of faces through which groups are compared at all
    alike: F32  # (m,) their similarities

    def founders(self, floor: float) -> "Faces":
        """The same faces, and only pairs so alike of which both can found a person."""
        one, other = self.near
        both = self.founds[one] & self.founds[other] & (self.alike >= floor)
        return replace(self, near=(one[both], other[both]), alike=self.alike[both])

    def at(self, chosen: Index, pairs: NDArray[np.bool_]) -> "Faces":
        """Some of the faces, and those of the near pairs that are marked, all among them."""
        place = np.full(len(self.rows), -1)
        place[chosen] = np.arange(len(chosen))
        near = (place[self.near[0][pairs]], place[self.near[1][pairs]])
        return Faces(
            self.rows[chosen],
            self.weight[chosen],
            self.founds[chosen],
            self.photos.at(chosen),
            near,
            self.alike[pairs],
        )


@dataclass(slots=True, eq=False)
class Groups:
    """Sums over the faces of each group. Joining changes them in place."""

    sums: F32  # (g, d) of the weighted rows
    weight: F64  # (g,) of the weights
    square: F64  # (g,) the squared lengths of ``sums``

    def inside(self, itself: F64) -> F64:
        """Mean similarity of the different faces of each group. (g,) sums of w² -> (g,)."""
        similarity: F64 = (self.square - itself) / np.maximum(self.weight**2 - itself, 1e-9)
        return similarity

    def join(self, one: Index, other: Index) -> None:
        """Adds the groups ``other`` to the groups ``one``; no group may be named twice."""
        self.sums[one] += self.sums[other]
        self.weight[one] += self.weight[other]
        self.square[one] = np.einsum("ij,ij->i", self.sums[one], self.sums[one])


def groups_of(rows: F32, weight: F32, group: Index, count: int) -> Groups:
    """The groups' sums. (n, d) rows, (n,) weights, (n,) numbers below ``count``, -1 for none."""
    from scipy.sparse import csc_array

    # each face is a column with one entry or none, already in order: nothing to sort
    inside = group >= 0
    column = np.append(0, np.cumsum(inside))
    chosen = csc_array((weight[inside], group[inside], column), shape=(count, len(group)))
    sums: F32 = (chosen @ rows).astype(np.float32, copy=False)
    total: F64 = np.bincount(group[inside], weight[inside], count).astype(np.float64)
    return Groups(sums, total, np.einsum("ij,ij->i", sums, sums).astype(np.float64))


def counted(rows: F32, group: Index, count: int) -> Groups:
    """The groups' sums where every face weighs the same. (n, d), (n,) numbers, -1 for none."""
    return groups_of(rows, np.ones(len(rows), np.float32), group, count)


def dots(left: F32, i: Index, right: F32, j: Index) -> F64:
    """Products of pairs of rows, in bounded memory. (m,), (m,) row numbers -> (m,)."""
    products = np.empty(len(i))
    for first in range(0, len(i), BLOCK):
        some = slice(first, first + BLOCK)
        products[some] = np.einsum("ij,ij->i", left[i[some]], right[j[some]])
    return products


def sizes(group: Index) -> Index:
    """How many faces each face's group has. (n,) -> (n,)."""
    counts: Index = np.bincount(group, minlength=len(group))[group]
    return counts
