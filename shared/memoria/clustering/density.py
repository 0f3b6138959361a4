"""Exact HDBSCAN over cosine distance, at about the price of a matrix product."""

from heapq import heappop, heappush

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memoria.clustering.edges import Edges, edges_between, joined
from memoria.clustering.neighbours import nearest_neighbours
from memoria.clustering.rows import F32, Index, canonical_order, unit_rows
from memoria.clustering.spanning_tree import LIST_LENGTH, spanning_tree

Labels = NDArray[np.intp]
F64 = NDArray[np.float64]

MEASURED_AT_ONCE = 4096


def hdbscan_labels(
    embeddings: ArrayLike,
    *,
    min_cluster_size: int = 3,
    min_samples: int = 2,
    epsilon: float = 0.4,
) -> Labels:
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


def neighbour_lists(rows: F32, min_samples: int) -> tuple[F32, Index]:
    """The nearest neighbours that the tree needs. (n, d), n > 1 -> (n, k) distances, indices."""
    return nearest_neighbours(rows, min(max(LIST_LENGTH, min_samples), len(rows) - 1))


def labels_from_lists(
    rows: F32, lists: tuple[F32, Index], min_cluster_size: int, min_samples: int, epsilon: float
) -> Labels:
    """HDBSCAN's labels of rows in canonical order whose nearest neighbours are known."""
    if len(rows) < 2 * min_cluster_size:
        return np.full(len(rows), -1, dtype=np.intp)  # no split has two sides that are large enough
    tree = single_linkage(rows, lists, min_samples)
    return shared_by_copies(rows, selected(tree, min_cluster_size, float(epsilon)))


def check_parameters(min_cluster_size: int, min_samples: int, epsilon: float) -> None:
    """Raises ValueError for what HDBSCAN gives no meaning."""
    if min_cluster_size < 2:
        raise ValueError(f"min_cluster_size must be at least 2, got {min_cluster_size}")
    if min_samples < 1:
        raise ValueError(f"min_samples must be at least 1, got {min_samples}")
    if not 0 <= epsilon < np.inf:
        raise ValueError(f"epsilon must be a distance of 0 or more, got {epsilon}")


def single_linkage(rows: F32, lists: tuple[F32, Index], min_samples: int) -> F64:
    """The minimum spanning tree of mutual reachability. (n, d), n > 1 -> (n - 1, 3) float64.

    One row per edge, shortest first: two row numbers and the distance, measured in float64.
    """
    distances, index = lists
    rank = min(min_samples, len(rows) - 1)
    core = np.ascontiguousarray(distances[:, rank - 1])
    tree = spanning_tree(rows, core, distances, index)
    ties = tied_edges(core, distances[:, :rank], index[:, :rank])
    edges = joined(tree, ties)
    walked = prim(edges, measured_reach(rows, edges, core, index[:, rank - 1]), len(rows))
    return walked[np.argsort(walked[:, 2], kind="stable")]


def tied_edges(core: F32, distances: F32, index: Index) -> Edges:
    """Edges as long as the core distance of an end: each may stand for another in the tree."""
    one = np.repeat(np.arange(len(core)), distances.shape[1])
    edges = edges_between(one, index.ravel(), distances.ravel(), core)
    return edges.at(edges.reach <= core[one])


def measured_reach(rows: F32, edges: Edges, core: F32, core_index: Index) -> F64:
    """Mutual reachability in float64: float32 has told which pair's distance it is. (m,)."""
    wide_core = measured(rows, np.arange(len(rows)), core_index)
    reach = np.maximum(wide_core[edges.one], wide_core[edges.other])
    apart = np.flatnonzero(edges.distance > np.maximum(core[edges.one], core[edges.other]))
    reach[apart] = np.maximum(reach[apart], measured(rows, edges.one[apart], edges.other[apart]))
    return reach


def measured(rows: F32, one: Index, other: Index) -> F64:
    """Cosine distances of pairs of rows, in float64. (m,), (m,) -> (m,), 0..2."""
    distances = np.empty(len(one))
    for first in range(0, len(one), MEASURED_AT_ONCE):
        block = slice(first, first + MEASURED_AT_ONCE)
        left, right = rows[one[block]].astype(np.float64), rows[other[block]].astype(np.float64)
        distances[block] = np.clip(1 - np.einsum("ij,ij->i", left, right), 0, 2)
    return distances


def shared_by_copies(rows: F32, labels: Labels) -> Labels:
    """Gives equal rows, which stand together, one label: ties must not part them."""
    fresh = np.append(True, np.any(rows[1:] != rows[:-1], axis=1))
    if fresh.all():
        return labels
    highest = np.maximum.reduceat(labels, np.flatnonzero(fresh))[np.cumsum(fresh) - 1]
    kept, numbers = np.unique(highest, return_inverse=True)
    return numbers + min(int(kept[0]), 0)


def prim(edges: Edges, reach: F64, nodes: int) -> F64:
    """The tree as Prim's algorithm walks it from row 0. -> (nodes - 1, 3) float64.

    Mutual reachability is full of ties, and which of the equal trees it is decides where a face
    between two groups belongs. This is the walk of hdbscan's dense code, so the tree is the same:
    the nearest row next, of equal ones the first; reached from the row that offered it first.
    """
    offers = _adjacency(edges, reach, nodes)
    distance, source = [np.inf] * nodes, [0] * nodes
    distance[0] = -1.0
    heap: list[tuple[float, int]] = []
    walked = []
    node = 0
    for _ in range(nodes - 1):
        for other, length in offers[node]:
            if length < distance[other]:
                distance[other], source[other] = length, node
                heappush(heap, (length, other))
        length, node = heappop(heap)
        while length > distance[node]:
            length, node = heappop(heap)
        walked.append((source[node], node, length))
        distance[node] = -1.0
    return np.array(walked)


def _adjacency(edges: Edges, reach: F64, nodes: int) -> list[list[tuple[int, float]]]:
    offers: list[list[tuple[int, float]]] = [[] for _ in range(nodes)]
    ends = zip(edges.one.tolist(), edges.other.tolist(), reach.tolist(), strict=True)
    for one, other, length in ends:
        offers[one].append((other, length))
        offers[other].append((one, length))
    return offers


def selected(tree: F64, min_cluster_size: int, epsilon: float) -> Labels:
    """Labels of the clusters that hdbscan's own code selects from a sorted spanning tree."""
    from hdbscan._hdbscan_linkage import label
    from hdbscan.hdbscan_ import _tree_to_labels

    labels: Labels = _tree_to_labels(
        None,
        label(tree),
        min_cluster_size=min_cluster_size,
        cluster_selection_epsilon=epsilon,
    )[0]
    return labels
