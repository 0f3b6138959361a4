"""Optimal one-to-one matching of new groups with known people."""

import numpy as np

from memoria.arrays import F32, F64, Index
from memoria.people.owners import members_of, shared_faces

BLOCK = 2**22  # similarities at once: bounds the memory


def match_by_faces(groups: Index, people: Index) -> dict[int, int]:
    """Group -> person so that most faces keep their person. (n,), (n,) with -1 for none.

    Lower person indices (the older people) win ties.
    """
    group, person, count = shared_faces(groups, people)
    return _match(group, person, count.astype(np.float64), older=1)


def match_by_likeness(groups: F32, people: F32, similarity: float) -> dict[int, int]:
    """Group -> person by cosine similarity of their centroids, at least ``similarity``.

    (g, d), (p, d) unit rows -> indices into both.
    """
    rows = max(1, BLOCK // max(1, len(people)))
    found = [np.zeros((3, 0))]
    for start in range(0, len(groups), rows):
        alike = groups[start : start + rows] @ people.T
        group, person = np.nonzero(alike >= similarity)
        found.append(np.stack([start + group, person, alike[group, person]]))
    group, person, likeness = np.concatenate(found, axis=1)
    return _match(group.astype(np.intp), person.astype(np.intp), likeness, older=0)


def _match(group: Index, person: Index, weight: F64, older: float) -> dict[int, int]:
    """The one-to-one choice of most weight among these pairs. (m,), (m,), (m,) > 0.

    Groups and people that are joined by pairs form small islands; each is solved on its own, so
    the cost stays far from groups × people. ``older``: what all bonuses for lower person indices
    in an island stay under, together.
    """
    if not len(group):
        return {}
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    groups, people = int(group.max()) + 1, int(person.max()) + 1
    shape = (groups + people, groups + people)
    graph = coo_array((np.ones(len(group)), (group, groups + person)), shape=shape)
    island = connected_components(graph, directed=False)[1][group]
    found: dict[int, int] = {}
    for members in members_of(island).values():
        found |= _match_island(group[members], person[members], weight[members], older)
    return found


def _match_island(group: Index, person: Index, weight: F64, older: float) -> dict[int, int]:
    if len(group) == 1:
        return {int(group[0]): int(person[0])}
    from scipy.optimize import linear_sum_assignment

    rows, row = np.unique(group, return_inverse=True)
    columns, column = np.unique(person, return_inverse=True)
    matrix = np.zeros((len(rows), len(columns)))
    bonus = older * (1 - np.arange(len(columns)) / len(columns)) / (min(matrix.shape) + 1)
    matrix[row, column] = weight + bonus[column]
    chosen = zip(*linear_sum_assignment(matrix, maximize=True), strict=True)
    return {int(rows[i]): int(columns[j]) for i, j in chosen if matrix[i, j] > 0}
