"""Optimal one-to-one matching of new groups with known people."""

import numpy as np

from memoria.arrays import F32, Index
from memoria.people.owners import shared_faces


def match_by_faces(groups: Index, people: Index, person_count: int) -> dict[int, int]:
    """Group -> person so that most faces keep their person. (n,), (n,) with -1 for none.

    Lower person indices (the older people) win ties. Groups and people that share faces form
    small islands; each is solved on its own, so the cost stays far from groups × people.
    """
    if not len(pairs := np.stack(shared_faces(groups, people), axis=1)):
        return {}
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    group, person, count = pairs.T
    size = int(group.max()) + 1 + person_count
    graph = coo_array((count, (group, person + size - person_count)), shape=(size, size))
    island = connected_components(graph, directed=False)[1][group]
    found: dict[int, int] = {}
    order = np.argsort(island, kind="stable")
    starts = np.unique(island[order], return_index=True)[1]
    for members in np.split(order, starts[1:]):
        found |= _match_island(group[members], person[members], count[members])
    return found


def _match_island(group: Index, person: Index, count: Index) -> dict[int, int]:
    if len(group) == 1:
        return {int(group[0]): int(person[0])}
    rows, row = np.unique(group, return_inverse=True)
    columns, column = np.unique(person, return_inverse=True)
    weight = np.zeros((len(rows), len(columns)))
    # an older person counts a little more; all these bonuses together are less than one face
    older = 1 - np.arange(len(columns)) / len(columns)
    weight[row, column] = count + older[column] / (min(weight.shape) + 1)
    return {int(rows[i]): int(columns[j]) for i, j in _assign(weight) if weight[i, j] > 0}


def match_by_likeness(groups: F32, people: F32, similarity: float) -> dict[int, int]:
    """Group -> person by cosine similarity of their centroids, at least ``similarity``.

    (g, d), (p, d) unit rows -> indices into both.
    """
    likeness = groups @ people.T
    likeness[likeness < similarity] = 0
    return {i: j for i, j in _assign(likeness) if likeness[i, j] > 0}


def _assign(weight: "np.ndarray[tuple[int, int], np.dtype[np.floating]]") -> list[tuple[int, int]]:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(weight, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True)]
