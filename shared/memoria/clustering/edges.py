"""Edges between faces, and the shortest forest that a set of edges holds."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32, Index


class Edges(NamedTuple):
    """Undirected edges: row numbers, cosine distance and mutual reachability distance."""

    one: Index  # (m,)
    other: Index  # (m,)
    distance: F32  # (m,), 0..2
    reach: F32  # (m,), 0..2: max(core(one), core(other), distance)

    def at(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "Edges":
        """Some of the edges."""
        one, other, distance, reach = self
        return Edges(one[chosen], other[chosen], distance[chosen], reach[chosen])


def edges_between(one: Index, other: Index, distance: F32, core: F32) -> Edges:
    """Edges with their mutual reachability. (m,), (m,), (m,), core distances (n,) -> m edges."""
    return Edges(one, other, distance, np.maximum(np.maximum(core[one], core[other]), distance))


def joined(*parts: Edges) -> Edges:
    """All edges of several sets."""
    return Edges(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def shortest_forest(edges: Edges, nodes: int) -> Edges:
    """The minimum spanning forest, shortest edge first.

    Of edges with equal mutual reachability the one with the smaller distance is the shorter, then
    the one with the lower row numbers: the order in which the edges come does not matter.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    low, high = np.minimum(edges.one, edges.other), np.maximum(edges.one, edges.other)
    _, first = np.unique(low * nodes + high, return_index=True)
    bits = edges.reach[first].view(np.uint32).astype(np.uint64) << np.uint64(32)
    bits |= edges.distance[first].view(np.uint32)
    ranked = first[np.argsort(bits, kind="stable")]
    ranks = np.arange(1.0, len(ranked) + 1)
    graph = csr_array((ranks, (low[ranked], high[ranked])), shape=(nodes, nodes))
    chosen = np.sort(minimum_spanning_tree(graph).data).astype(np.intp) - 1
    return edges.at(ranked[chosen])


def components(one: Index, other: Index, nodes: int) -> Index:
    """Which connected part each node belongs to. -> (nodes,) numbers 0..parts-1."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(nodes, nodes))
    parts: Index = connected_components(graph, directed=False)[1].astype(np.intp)
    return parts
