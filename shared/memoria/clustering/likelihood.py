"""How likely two groups are one person: for questions to a user, not for grouping."""

import numpy as np
from numpy.typing import ArrayLike

from memoria.arrays import F32, F64, Index
from memoria.clustering.crowd import crowd_of
from memoria.clustering.evidence import evidence_for
from memoria.clustering.groups import Groups, counted, dots, groups_of
from memoria.clustering.quality import face_weights
from memoria.clustering.refinement import demand_of
from memoria.clustering.rows import unit_rows
from memoria.clustering.thresholds import Thresholds, thresholds_for


def one_person(
    embeddings: ArrayLike,
    group: Index,
    pairs: tuple[Index, Index],
    *,
    quality: ArrayLike | None = None,
    model: str | None = None,
    thresholds: Thresholds | None = None,
) -> F64:
    """The chance that pairs of groups are one person. -> (m,) 0..1.

    ``embeddings``: (n, d) rows of all faces of the event and one model. ``group``: (n,) each face's
    group, 0..k-1, -1 for none; a single face may be a group. ``pairs``: (m,), (m,) group numbers.
    ``quality`` and ``model`` as in `group_faces`. The prior odds are those of joining: pairs that
    `group_faces` left apart are below one half, unless photos or their width kept them apart.
    Photos that show both are the caller's to weigh.

    Raises ValueError for lengths that differ and vectors without a direction.
    """
    rows = unit_rows(embeddings)
    limits = thresholds or thresholds_for(model)
    groups = counted(rows, group, int(group.max(initial=-1)) + 1)
    weight = face_weights(quality, len(rows))[0]
    return chances(rows, weight, group, groups, pairs=pairs, limits=limits)


def chances(
    rows: F32,
    weight: F32,
    group: Index,
    groups: Groups,
    *,
    pairs: tuple[Index, Index],
    limits: Thresholds,
) -> F64:
    """`one_person` of unit rows and groups that are summed up already, by `counted`. -> (m,)."""
    evidence = evidence_for(limits).among(crowd_of(rows, group, limits.spread, groups), 0.0)
    if not np.all(weight == 1):
        groups = groups_of(rows, weight, group, len(groups.weight))
    one, other = pairs
    found = evidence.between(groups, one, other, dots(groups.sums, one, groups.sums, other))
    likely: F64 = 1 / (1 + np.exp(np.clip(demand_of(len(rows)) - found, -50, 50)))
    return likely
