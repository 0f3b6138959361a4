"""The minimum spanning tree of the mutual reachability graph, exactly, from about one product.

The distance of two faces is max(core(a), core(b), d(a, b)), where core is the distance to the
``min_samples``-th nearest other face (Campello, Moulavi and Sander 2013). Equal ones are told
apart by d.

Which edges are in the tree is found in float32, in four steps that are exact:

1. the nearest neighbours of every face, and the shortest forest of that sparse graph;
2. Borůvka's rounds over its edges. An edge that is in nobody's list is at least as long as both
   its ends' radii (the last entries of their lists), so a component's shortest known edge is
   certain when it is no longer than the shortest radius of its members: join what is certain;
3. what the lists do not know: edges between components that are shorter than the forest's own path
   between them (shortcuts.py). A few sample faces of each part connect the forest first;
4. the shortest forest of all these edges is the tree.

Then the edges are measured again in float64, and Prim's algorithm walks them in the order of
hdbscan's own code (``single_linkage``).
"""

from heapq import heappop, heappush

import numpy as np

from memoria.arrays import F32, F64, Index
from memoria.clustering.edges import Edges, components, edges_between, joined, shortest_forest
from memoria.clustering.neighbours import NeighbourLists, nearest_neighbours
from memoria.clustering.shortcuts import shortcuts

LIST_LENGTH = 16
MEASURED_AT_ONCE = 4096  # pairs: bounds the memory of float64 copies
SAMPLES_PER_PART = 8  # faces of a part; no part has fewer than LIST_LENGTH + 1


def single_linkage(rows: F32, lists: NeighbourLists, min_samples: int) -> F64:
    """The minimum spanning tree of mutual reachability. (n, d), n > 1 -> (n - 1, 3) float64.

    One row per edge, shortest first: two row numbers and the distance, measured in float64.
    """
    distances, index = lists
    rank = min(min_samples, len(rows) - 1)
    core = np.ascontiguousarray(distances[:, rank - 1])
    tree = spanning_tree(rows, core, lists)
    ties = tied_edges(core, NeighbourLists(distances[:, :rank], index[:, :rank]))
    edges = joined(tree, ties)
    walked = prim(edges, reach_in_float64(rows, edges, core, index[:, rank - 1]), len(rows))
    return walked[np.argsort(walked[:, 2], kind="stable")]


def listed_edges(core: F32, lists: NeighbourLists) -> Edges:
    """One edge for each entry of the lists."""
    one = np.repeat(np.arange(len(core)), lists.distances.shape[1])
    return edges_between(one, lists.rows.ravel(), lists.distances.ravel(), core)


def tied_edges(core: F32, lists: NeighbourLists) -> Edges:
    """Edges as long as the core distance of an end: each may stand for another in the tree."""
    edges = listed_edges(core, lists)
    return edges.at(edges.reach <= core[edges.one])


def reach_in_float64(rows: F32, edges: Edges, core: F32, core_index: Index) -> F64:
    """Mutual reachability of edges, in float64. -> (m,), 0..2.

    It is the distance of one of three pairs: the two ends, or an end and the neighbour that gives
    its core distance. float32 tells which one; its distance is measured again.
    """
    wide_core = distances_in_float64(rows, np.arange(len(rows)), core_index)
    reach = np.maximum(wide_core[edges.one], wide_core[edges.other])
    apart = np.flatnonzero(edges.distance > np.maximum(core[edges.one], core[edges.other]))
    reach[apart] = np.maximum(
        reach[apart], distances_in_float64(rows, edges.one[apart], edges.other[apart])
    )
    return reach


def distances_in_float64(rows: F32, one: Index, other: Index) -> F64:
    """Cosine distances of pairs of rows, in float64. (m,), (m,) -> (m,), 0..2."""
    distances = np.empty(len(one))
    for first in range(0, len(one), MEASURED_AT_ONCE):
        block = slice(first, first + MEASURED_AT_ONCE)
        left, right = rows[one[block]].astype(np.float64), rows[other[block]].astype(np.float64)
        distances[block] = np.clip(1 - np.einsum("ij,ij->i", left, right), 0, 2)
    return distances


def spanning_tree(rows: F32, core: F32, lists: NeighbourLists) -> Edges:
    """The n - 1 edges of the tree, shortest first.

    (n, d) float32 unit rows, (n,) core distances, (n, k) lists -> edges. Memory: a few tiles,
    GROUPS squared and about 100 bytes per list entry.
    """
    n, count = lists.distances.shape
    forest = shortest_forest(listed_edges(core, lists), n)
    radius = lists.distances[:, -1] if count < n - 1 else np.full(n, np.inf, dtype=np.float32)
    part = certain_components(forest, radius)
    if part.max() == 0:
        return forest
    forest = connected(forest, rows, core)
    return shortest_forest(joined(forest, *shortcuts(rows, core, radius, part, forest)), n)


def certain_components(forest: Edges, radius: F32) -> Index:
    """Joins faces by the forest's edges that are certain to be in the tree. -> (n,) components."""
    part = np.arange(len(radius))
    while True:
        parts = int(part.max()) + 1
        limit = np.full(parts, np.inf, dtype=np.float32)
        np.minimum.at(limit, part, radius)
        ends = part[np.stack([forest.one, forest.other], axis=1)]
        crossing = np.flatnonzero(ends[:, 0] != ends[:, 1])[::-1]
        shortest = np.full(parts, -1)
        shortest[ends[crossing].ravel()] = np.repeat(crossing, 2)  # the shortest is written last
        linked = np.flatnonzero(shortest >= 0)
        certain = shortest[linked[forest.reach[shortest[linked]] <= limit[linked]]]
        if len(certain) == 0:
            return part
        part = components(ends[certain, 0], ends[certain, 1], parts)[part]


def connected(forest: Edges, rows: F32, core: F32) -> Edges:
    """The forest made one tree by the shortest edges among a few faces of each of its parts."""
    part = components(forest.one, forest.other, len(rows))
    if part.max() == 0:
        return forest
    by_part = np.argsort(part, kind="stable")
    begin = np.searchsorted(part[by_part], np.arange(part.max() + 1))
    place = np.arange(len(rows)) - begin[part[by_part]]
    samples = by_part[place < SAMPLES_PER_PART]
    lists = nearest_neighbours(rows[samples], min(LIST_LENGTH, len(samples) - 1))
    bridges = spanning_tree(rows[samples], core[samples], lists)
    bridges = bridges._replace(one=samples[bridges.one], other=samples[bridges.other])
    return shortest_forest(joined(forest, bridges), len(rows))


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
