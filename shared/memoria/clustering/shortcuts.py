"""Edges between components of a forest that are shorter than its own path between them.

The longest edge on the path between two components bounds what can replace it. A face whose radius
(the distance of its last known neighbour) is over every bound has no unknown edge that matters; one
product of the other faces finds the edges below the bounds.
"""

import numpy as np

from memoria.arrays import F32, Index
from memoria.clustering.edges import Edges, components, edges_between
from memoria.clustering.neighbours import SLACK
from memoria.clustering.tiles import visit_tiles

GROUPS = 2048  # of components, at most, between which paths are told apart


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
