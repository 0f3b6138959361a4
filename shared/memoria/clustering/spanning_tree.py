"""The minimum spanning tree of the mutual reachability graph, exactly, from about one product.

The distance of two faces is max(core(a), core(b), d(a, b)), where core is the distance to the
``min_samples``-th nearest other face (Campello, Moulavi and Sander 2013). Equal ones are told
apart by d. Four steps, each exact:

1. the nearest neighbours of every face, and the shortest forest of that sparse graph;
2. Borůvka's rounds over its edges. An edge that is in nobody's list is at least as long as both
   its ends' radii (the last entries of their lists), so a component's shortest known edge is
   certain when it is no longer than the shortest radius of its members: join what is certain;
3. the forest, connected through a few envoys of each part, bounds the longest edge on the true
   tree's path between any two components left. A face whose radius is over every bound has no
   unknown edge that matters; one product of the other faces finds the edges below the bounds;
4. the shortest forest of all these edges is the tree.
"""

import numpy as np

from memoria.clustering.edges import Edges, components, edges_between, joined, shortest_forest
from memoria.clustering.neighbours import SLACK, nearest_neighbours
from memoria.clustering.rows import F32, Index
from memoria.clustering.tiles import visit_tiles

LIST_LENGTH = 16
GROUPS = 2048
ENVOYS = 8  # of each part of the lists' graph, which has more than LIST_LENGTH faces


def spanning_tree(rows: F32, core: F32, distances: F32, index: Index) -> Edges:
    """The n - 1 edges of the tree, shortest first.

    (n, d) float32 unit rows, (n,) core distances, (n, k) distances and row numbers of the nearest
    neighbours -> edges. Memory: a few tiles, GROUPS squared and about 100 bytes per list entry.
    """
    n, count = distances.shape
    one = np.repeat(np.arange(n), count)
    forest = shortest_forest(edges_between(one, index.ravel(), distances.ravel(), core), n)
    radius = distances[:, -1] if count < n - 1 else np.full(n, np.inf, dtype=np.float32)
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
    envoys = by_part[place < ENVOYS]
    lists = nearest_neighbours(rows[envoys], min(LIST_LENGTH, len(envoys) - 1))
    bridges = spanning_tree(rows[envoys], core[envoys], *lists)
    bridges = bridges._replace(one=envoys[bridges.one], other=envoys[bridges.other])
    return shortest_forest(joined(forest, bridges), len(rows))


def shortcuts(rows: F32, core: F32, radius: F32, part: Index, tree: Edges) -> list[Edges]:
    """Edges between components that are shorter than the tree's path between them."""
    group, bound = path_bounds(tree, part)
    chosen = np.flatnonzero(radius < bound.max())
    chosen = chosen[np.argsort(group[chosen], kind="stable")]
    found: list[Edges] = []

    def take(start: int, first: int, tile: F32) -> None:
        left, right = chosen[start : start + len(tile)], chosen[first : first + tile.shape[1]]
        above = tile > _floors(bound, group[left], group[right])[:, None]
        row, column = np.divmod(np.flatnonzero(above), tile.shape[1])
        one, other = left[row], right[column]
        edges = edges_between(one, other, np.clip(1 - tile[row, column], 0, 2), core)
        shorter = edges.reach <= bound[group[one], group[other]]
        found.append(edges.at(shorter & (part[one] != part[other])))

    visit_tiles(rows[chosen], take, step="spanning_tree")
    return found


def _floors(bound: F32, left: Index, right: Index) -> F32:
    """The least similarity of each row to a tile that can matter. (m,), (k,) -> (m,)."""
    some, where = np.unique(left, return_inverse=True)
    longest = bound[np.ix_(some, np.unique(right))].max(axis=1)
    floors: F32 = (1 - SLACK - longest)[where]
    return floors


def path_bounds(tree: Edges, part: Index) -> tuple[Index, F32]:
    """The longest edge of the tree's path between groups of components.

    -> (n,) groups, (g, g) bounds, g at most GROUPS. Where components outnumber that, those with the
    shortest links share a group, and the diagonal holds the longest link inside; else it is -1.
    """
    parts = int(part.max()) + 1
    links = tree.at(part[tree.one] != part[tree.other])
    inner = links.at(np.arange(max(0, parts - GROUPS)))
    of_part = components(part[inner.one], part[inner.other], parts)
    group = of_part[part]
    groups = int(of_part.max()) + 1
    bound = np.full((groups, groups), -1, dtype=np.float32)
    np.maximum.at(bound, (group[inner.one], group[inner.one]), inner.reach)
    root = np.arange(groups)
    for link in range(len(inner.one), parts - 1):
        one = np.flatnonzero(root == root[group[links.one[link]]])
        other = np.flatnonzero(root == root[group[links.other[link]]])
        bound[np.ix_(one, other)] = links.reach[link]
        bound[np.ix_(other, one)] = links.reach[link]
        root[other] = root[one[0]]
    return group, bound
