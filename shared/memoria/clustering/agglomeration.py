"""Joining groups that are each other's best, while the evidence meets a demand."""

import numpy as np

from memoria.arrays import F32, F64, Index
from memoria.clustering.evidence import Evidence
from memoria.clustering.groups import Faces, dots, groups_of, sizes
from memoria.clustering.keys import unordered_pairs

MANY_COPIES = 32  # more than a face has near ones


def agglomerated(faces: Faces, group: Index, evidence: Evidence, demand: float) -> Index:
    """Groups joined until no two that near faces link meet the demand, in nats.

    (n,) each face's group, numbered by one of its faces -> the same. A round joins all pairs that
    are each other's best; a pair is weighed again only when a side changed.
    """
    group = with_copies_joined(faces, group, evidence, demand)
    names, group = np.unique(group, return_inverse=True)
    joining = _Joining(faces, group, evidence, demand)
    while joining.round():
        pass
    return names[joining.group]


def with_copies_joined(faces: Faces, group: Index, evidence: Evidence, demand: float) -> Index:
    """Where a face is there very often, its copies that stand alone joined at once. (n,) -> (n,).

    They are near to the same few copies alone, of which a round joins one at a time. Each is
    weighed against the best, the last in canonical order; of a photo's only one is joined.
    """
    run = runs_of_copies(faces.rows)
    often = np.bincount(run)[run] > MANY_COPIES
    able = np.flatnonzero(often & faces.founds & (sizes(group) == 1))
    best = able[np.searchsorted(run[able], run[able], side="right") - 1]
    weight = faces.weight.astype(np.float64)
    alone = evidence.alone(weight, weight**2)
    found = evidence.together(alone.at(best), alone.at(able), weight[best] * weight[able])
    joined = np.flatnonzero(found >= demand)[::-1]  # the best is the first of its own photo
    joined = joined[faces.photos.one_each(able[joined], best[joined])]
    group = group.copy()
    group[able[joined]] = best[joined]
    return group


def runs_of_copies(rows: F32) -> Index:
    """Which run of equal rows each row is in: they stand together. (n, d) -> (n,) ascending."""
    fresh = rows[1:, 0] != rows[:-1, 0]
    rest = np.flatnonzero(~fresh)
    fresh[rest] = np.any(rows[rest] != rows[rest + 1], axis=1)
    return np.append(0, np.cumsum(fresh))[: len(rows)]


class _Joining:
    """Groups and the pairs of them that near faces link, with their evidence."""

    def __init__(self, faces: Faces, group: Index, evidence: Evidence, demand: float) -> None:
        self.photos, self.evidence, self.demand = faces.photos, evidence, demand
        self.group, self.count = group, int(group.max(initial=-1)) + 1
        self.groups = groups_of(faces.rows, faces.weight, group, self.count)
        self.alone = evidence.alone(self.groups.weight, self.groups.square)
        one, other = faces.near
        self.one, self.other = unordered_pairs(group[one], group[other], self.count)
        self.found = self.weighed(self.one, self.other)

    def round(self) -> bool:
        """Joins all pairs that are each other's best. Whether there were any."""
        able = np.flatnonzero(self.found >= self.demand)
        one, other = self.one[able], self.other[able]
        best = _mutual_best(one, other, self.rank(self.found[able], one, other), self.count)
        self.join(one[best], other[best])
        return len(best) > 0

    def join(self, one: Index, other: Index) -> None:
        """Adds the groups ``other`` to ``one``, and weighs anew what that concerns."""
        self.groups.join(one, other)
        changed = self.evidence.alone(self.groups.weight[one], self.groups.square[one])
        for column, values in zip(self.alone, changed, strict=True):
            column[one] = values
        into = np.arange(self.count)
        into[other] = one
        self.group = into[self.group]
        moved = np.zeros(self.count, dtype=bool)
        moved[one] = moved[other] = True
        touched = moved[self.one] | moved[self.other]
        fresh = unordered_pairs(into[self.one[touched]], into[self.other[touched]], self.count)
        self.one = np.append(self.one[~touched], fresh[0])
        self.other = np.append(self.other[~touched], fresh[1])
        self.found = np.append(self.found[~touched], self.weighed(*fresh))

    def weighed(self, one: Index, other: Index) -> F64:
        """The evidence for pairs. Photos are asked only where it would be enough without them."""
        sums, alone = self.groups.sums, self.alone
        products = dots(sums, one, sums, other)
        found = self.evidence.together(alone.at(one), alone.at(other), products)
        able = np.flatnonzero(found >= self.demand)
        found[able] -= self.photos.against_groups(self.group, one[able], other[able])
        return found

    def rank(self, found: F64, one: Index, other: Index) -> F64:
        """Which pairs go first. Evidence grows with the faces that give it: large groups would
        always win, so it is divided by the root of what they weigh together, as a deviation is.
        """
        mine, theirs = self.groups.weight[one], self.groups.weight[other]
        return found / np.sqrt(mine * theirs / (mine + theirs))


def _mutual_best(one: Index, other: Index, rank: F64, groups: int) -> Index:
    """Which pairs are the best of both of their ends; of equal ones the last. (m,) -> (k,)."""
    best = np.full(groups, -np.inf)
    np.maximum.at(best, one, rank)
    np.maximum.at(best, other, rank)
    chosen = np.flatnonzero((rank == best[one]) & (rank == best[other]))
    last = np.empty(groups, dtype=np.intp)
    last[np.stack([one, other], axis=1)[chosen].ravel()] = np.repeat(chosen, 2)
    mutual = (last[one[chosen]] == chosen) & (last[other[chosen]] == chosen)
    return np.compress(mutual, chosen)
