"""The second pass: groups split, merged, completed and cleared by mean similarity.

Density alone chains: a poor face lies near two people and makes them one. The mean similarity of
two groups does not (average linkage), and it costs one product of two vectors: the mean over all
pairs is the product of the two means. The pass looks only where something can change: into groups
with a face that does not fit, at groups that are linked by near neighbours, at faces left over.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32, Index
from memoria.clustering.same_photo import Photos
from memoria.clustering.thresholds import Thresholds

LARGEST_SPLIT = 2000
BLOCK = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """What the pass knows of the faces of an event."""

    rows: F32  # (n, d) unit length
    weight: F32  # (n,) how much each counts in a mean
    photos: Photos
    near: tuple[Index, Index]  # (m,), (m,) pairs of faces through which groups are compared at all


def weighted_sums(rows: F32, weight: F32, group: Index, groups: int) -> tuple[F32, F32]:
    """Sum of the weighted rows and of the weights of each group. -> (groups, d), (groups,)."""
    from scipy.sparse import csc_array

    # each face is a column with one entry, already in order: nothing to sort
    column = np.arange(len(group) + 1)
    chosen = csc_array((weight, group, column), shape=(groups, len(group)))
    sums: F32 = (chosen @ rows).astype(np.float32)
    return sums, np.bincount(group, weight, groups).astype(np.float32)


def fit(rows: F32, weight: F32, group: Index, groups: int) -> F32:
    """Mean similarity of each face to the others of its group; infinite where it is alone. (n,)."""
    sums, total = weighted_sums(rows, weight, group, groups)
    fits = np.full(len(rows), np.inf, dtype=np.float32)
    others = total[group] - weight
    together = np.flatnonzero(np.bincount(group, minlength=groups)[group] > 1)
    for first in range(0, len(together), BLOCK):
        some = together[first : first + BLOCK]
        dots = np.einsum("ij,ij->i", rows[some], sums[group[some]])
        fits[some] = (dots - weight[some]) / others[some]
    return fits


def split(faces: Faces, group: Index, thresholds: Thresholds) -> Index:
    """Parts groups that hang together by chaining; each face that fits nowhere stands alone."""
    groups = int(group.max()) + 1
    misfit = fit(faces.rows, faces.weight, group, groups) < thresholds.sure
    suspect = np.bincount(group, misfit, groups) > 0
    suspect |= faces.photos.repeats(group, groups)
    parted, fresh = group.copy(), groups
    by_group = np.argsort(group, kind="stable")
    begin = np.searchsorted(group[by_group], np.arange(groups + 1))
    for number in np.flatnonzero(suspect):
        members = by_group[begin[number] : begin[number + 1]]
        parts = _parts(faces.rows[members], faces.photos.same(members), thresholds, misfit[members])
        parted[members] = fresh + parts
        fresh += 2 * len(members)
    return _compact(parted)


def _parts(
    rows: F32, same_photo: NDArray[np.bool_], thresholds: Thresholds, misfit: NDArray[np.bool_]
) -> Index:
    """Average linkage inside one group, cut at ``sure``. -> (m,) parts, numbered below 2 m."""
    if len(rows) > LARGEST_SPLIT:
        return np.where(misfit, np.cumsum(misfit), 0)
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    distance = 1 - rows @ rows.T + np.float32(thresholds.same_photo) * same_photo
    pairs = squareform(np.maximum(distance, 0), checks=False)
    tree = linkage(pairs.astype(np.float64), "average")
    return _cut(tree, 1 - thresholds.sure)


def _cut(tree: NDArray[np.float64], distance: float) -> Index:
    """Scipy's ``fcluster`` by distance, whose checks take longer than the linkage. -> (m,)."""
    leaves = len(tree) + 1
    joins = tree[tree[:, 2] <= distance, :2].astype(np.intp)
    root = np.arange(leaves + len(joins))
    root[joins] = np.arange(leaves, len(root))[:, None]
    while not np.array_equal(above := root[root], root):
        root = above
    return root[:leaves]


def merge(faces: Faces, group: Index, thresholds: Thresholds) -> Index:
    """Joins groups that are each other's nearest by mean similarity, until none is near enough.

    Joining mutual nearest groups gives what average linkage gives, in a few rounds over arrays;
    below ``sure`` it takes a margin over the next best as well.
    """
    while True:
        groups = int(group.max()) + 1
        one, other = _pairs(group[faces.near[0]], group[faces.near[1]], groups)
        sums, total = weighted_sums(faces.rows, faces.weight, group, groups)
        means = sums / total[:, None]
        similarity = _dots(means, one, other)
        similarity -= thresholds.same_photo * faces.photos.shared(group, groups, one, other)
        chosen = _clear_pairs(one, other, similarity, groups, thresholds)
        if len(chosen) == 0:
            return group
        into = np.arange(groups)
        into[other[chosen]] = one[chosen]
        group = _compact(into[group])


def _clear_pairs(
    one: Index, other: Index, similarity: NDArray[np.float64], groups: int, thresholds: Thresholds
) -> Index:
    """Pairs that are each other's nearest and surely one, or nearer than any other by a margin."""
    order = np.argsort(similarity, kind="stable")
    ends = np.stack([one, other], axis=1)[order].ravel()
    pair = np.repeat(order, 2)
    best = np.full(groups, -1)
    best[ends] = pair  # the nearest is written last
    lesser = best[ends] != pair
    second = np.full(groups, -1.0)
    second[ends[lesser]] = similarity[pair[lesser]]
    numbers = np.arange(len(one))
    mutual = (best[one] == numbers) & (best[other] == numbers)
    gap = similarity - np.maximum(second[one], second[other])
    clear = (similarity >= thresholds.sure) | (gap >= thresholds.margin)
    return np.flatnonzero(mutual & clear & (similarity >= thresholds.link))


def _pairs(one: Index, other: Index, groups: int) -> tuple[Index, Index]:
    low, high = np.minimum(one, other), np.maximum(one, other)
    keys = np.unique((low * groups + high)[low != high])
    return keys // groups, keys % groups


def _dots(means: F32, one: Index, other: Index) -> NDArray[np.float64]:
    similarity = np.empty(len(one))
    for first in range(0, len(one), BLOCK):
        block = slice(first, first + BLOCK)
        similarity[block] = np.einsum("ij,ij->i", means[one[block]], means[other[block]])
    return similarity


def absorb(faces: Faces, group: Index, thresholds: Thresholds, least: int) -> Index:
    """Takes faces that are in no group of ``least`` into the one where they clearly belong."""
    groups = int(group.max()) + 1
    large = np.flatnonzero(np.bincount(group) >= least)
    left = np.flatnonzero(~np.isin(group, large))
    if len(large) == 0 or len(left) == 0:
        return group
    sums, total = weighted_sums(faces.rows, faces.weight, group, groups)
    means = sums[large] / total[large, None]
    taken = group.copy()
    for first in range(0, len(left), BLOCK):
        some = left[first : first + BLOCK]
        similarity = faces.rows[some] @ means.T
        best = similarity.argmax(axis=1)
        here = np.arange(len(some))
        top = similarity[here, best].copy()
        similarity[here, best] = -1
        clear = top - similarity.max(axis=1) >= thresholds.face_margin
        photo = faces.photos.shared(group, groups, group[some], large[best])
        fits = top - thresholds.same_photo * photo >= thresholds.link
        taken[some[clear & fits]] = large[best[clear & fits]]
    return _compact(taken)


def _compact(group: Index) -> Index:
    return np.unique(group, return_inverse=True)[1]


def refined(faces: Faces, labels: Index, thresholds: Thresholds, least: int) -> Index:
    """HDBSCAN's labels repaired. (n,) -> (n,), groups of at least ``least``, the rest -1."""
    noise = labels < 0
    group = labels.copy()
    group[noise] = labels.max() + 1 + np.arange(np.count_nonzero(noise))
    group = split(faces, group, thresholds)
    group = merge(faces, group, thresholds)
    group = absorb(faces, group, thresholds, least)
    size = np.bincount(group)[group]
    return np.where(size >= least, group, -1)
