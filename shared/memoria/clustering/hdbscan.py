"""Exact HDBSCAN over cosine distance, at about the price of a matrix product."""

import numpy as np
from numpy.typing import ArrayLike

from memoria.arrays import F32, F64, Index
from memoria.clustering.neighbours import NeighbourLists, nearest_neighbours
from memoria.clustering.rows import canonical_order, unit_rows
from memoria.clustering.spanning_tree import LIST_LENGTH, single_linkage


def hdbscan_labels(
    embeddings: ArrayLike,
    *,
    min_cluster_size: int = 3,
    min_samples: int = 2,
    epsilon: float = 0.4,
) -> Index:
    """Groups of dense faces. (n, d) float32 unit rows -> (n,) labels 0..k-1, -1 for noise.

    The answer of ``hdbscan.HDBSCAN(metric="precomputed", min_cluster_size, min_samples,
    cluster_selection_epsilon=epsilon)`` over the float64 cosine distances (excess of mass, no
    single cluster), save that equal distances are told apart by the vectors alone: the same faces
    in any order give the same groups. ``epsilon`` is a cosine distance, 0..2. Rows that are not
    of unit length are scaled to it. Memory: a sorted copy of the input and about 2 KiB per face.

    Raises ValueError for parameters out of range and for vectors without a direction.
    """
    check_parameters(min_cluster_size, min_samples, epsilon)
    rows = unit_rows(embeddings)
    order = canonical_order(rows)
    labels = np.full(len(rows), -1, dtype=np.intp)
    if len(rows) > 1:
        rows = rows[order]
        lists = neighbour_lists(rows, min_samples)
        labels[order] = labels_from_lists(rows, lists, min_cluster_size, min_samples, epsilon)
    return labels


def neighbour_lists(rows: F32, min_samples: int) -> NeighbourLists:
    """The nearest neighbours that the tree needs. (n, d), n > 1 -> (n, k) lists."""
    return nearest_neighbours(rows, min(max(LIST_LENGTH, min_samples), len(rows) - 1))


def labels_from_lists(
    rows: F32, lists: NeighbourLists, min_cluster_size: int, min_samples: int, epsilon: float
) -> Index:
    """HDBSCAN's labels of rows in canonical order whose nearest neighbours are known."""
    if len(rows) < 2 * min_cluster_size:
        return np.full(len(rows), -1, dtype=np.intp)  # no split has two sides that are large enough
    tree = single_linkage(rows, lists, min_samples)
    return one_label_for_copies(rows, select_clusters(tree, min_cluster_size, float(epsilon)))


def check_parameters(min_cluster_size: int, min_samples: int, epsilon: float) -> None:
    """Raises ValueError for a parameter out of the range in which HDBSCAN is defined."""
    if min_cluster_size < 2:
        raise ValueError(f"min_cluster_size must be at least 2, got {min_cluster_size}")
    if min_samples < 1:
        raise ValueError(f"min_samples must be at least 1, got {min_samples}")
    if not 0 <= epsilon < np.inf:
        raise ValueError(f"epsilon must be a distance of 0 or more, got {epsilon}")


def one_label_for_copies(rows: F32, labels: Index) -> Index:
    """Equal rows, which stand together, get one label, also where a tie gave them two."""
    fresh = np.append(True, np.any(rows[1:] != rows[:-1], axis=1))
    if fresh.all():
        return labels
    highest = np.maximum.reduceat(labels, np.flatnonzero(fresh))[np.cumsum(fresh) - 1]
    kept, numbers = np.unique(highest, return_inverse=True)
    return numbers + min(int(kept[0]), 0)


def select_clusters(tree: F64, min_cluster_size: int, epsilon: float) -> Index:
    """Labels of the clusters that hdbscan's own code selects from a sorted tree. -> (n,)."""
    from hdbscan._hdbscan_linkage import label
    from hdbscan.hdbscan_ import _tree_to_labels

    labels: Index = _tree_to_labels(
        None,
        label(tree),
        min_cluster_size=min_cluster_size,
        cluster_selection_epsilon=epsilon,
    )[0]
    return labels
