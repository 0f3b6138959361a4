"""Joining groups that are each other's best, while the evidence meets a demand."""

import numpy as np

from memoria.arrays import F64, Index
from memoria.clustering.evidence import Evidence
from memoria.clustering.groups import Faces, Groups, dots, groups_of


def agglomerated(faces: Faces, group: Index, evidence: Evidence, demand: float) -> Index:
    """Groups joined until no two that near faces link meet the demand, in nats.

    (n,) each face's group, numbered by one of its faces -> the same. A round joins all pairs that
    are each other's best, so a few rounds do; a pair is weighed again only when a side changed.
    """
    n = len(group)
    groups = groups_of(faces.rows, faces.weight, group, n)
    keys = _keys(group[faces.near[0]], group[faces.near[1]], n)
    found = _evidence(faces, group, groups, evidence, keys)
    while True:
        able = np.flatnonzero(found >= demand)
        one, other = np.divmod(keys[able], n)
        chosen = _mutual_best(one, other, _rank(found[able], groups.weight, one, other), n)
        if len(chosen) == 0:
            return group
        one, other = one[chosen], other[chosen]
        groups.join(one, other)
        into = np.arange(n)
        into[other] = one
        group = into[group]
        moved = np.zeros(n, dtype=bool)
        moved[one] = moved[other] = True
        touched = moved[keys // n] | moved[keys % n]
        again = _keys(into[keys[touched] // n], into[keys[touched] % n], n)
        keys = np.append(keys[~touched], again)
        found = np.append(found[~touched], _evidence(faces, group, groups, evidence, again))


def _evidence(faces: Faces, group: Index, groups: Groups, evidence: Evidence, keys: Index) -> F64:
    one, other = np.divmod(keys, len(group))
    found = evidence.between(groups, one, other, dots(groups.sums, one, groups.sums, other))
    return found - faces.photos.against_groups(group, one, other)


def _rank(found: F64, weight: F64, one: Index, other: Index) -> F64:
    """Which pairs go first. Evidence grows with the faces that give it: large groups would always
    win, so it is divided by the root of what they weigh together, as a deviation is.
    """
    return found / np.sqrt(weight[one] * weight[other] / (weight[one] + weight[other]))


def _mutual_best(one: Index, other: Index, rank: F64, groups: int) -> Index:
    """Which pairs are the best of both of their ends; of equal ones the last. (m,) -> (k,)."""
    order = np.argsort(rank, kind="stable")
    best = np.full(groups, -1)
    best[np.stack([one, other], axis=1)[order].ravel()] = np.repeat(order, 2)  # the best comes last
    pairs = np.arange(len(one))
    return np.flatnonzero((best[one] == pairs) & (best[other] == pairs))


def _keys(one: Index, other: Index, groups: int) -> Index:
    """Pairs of two groups as one number each, every pair once. (m,), (m,) -> (k,), sorted."""
    low, high = np.minimum(one, other), np.maximum(one, other)
    return np.unique((low * groups + high)[low != high])
