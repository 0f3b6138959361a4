"""The second pass: evidence is weighed where density only counted neighbours.

Density alone chains: a poor face lies near two people and makes them one; and it finds neither a
single person nor three faces. The pass begins with the first one's close groups, joins what the
evidence says is one person, parts again what became too wide, and lets each face settle.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F64, Index
from memoria.clustering.agglomeration import agglomerated
from memoria.clustering.copies import seen_often_enough
from memoria.clustering.crowd import crowd_of
from memoria.clustering.evidence import Evidence, evidence_for
from memoria.clustering.groups import Faces, dots, groups_of, sizes
from memoria.clustering.settling import settled
from memoria.clustering.thresholds import Thresholds

NEUTRAL = 0.4  # the CLUSTER_EPSILON at which the pack's thresholds hold as they are
MOST = 0.9  # of a group's faces: then those that fit are joined at once, which saves rounds
PER_LOG_FACE, FREE = 0.8, 1.5  # the demand: more people have more look-alikes
STEP, TRIES = 4.0, 4  # nats that it grows by where a group became too wide, how often


@dataclass(frozen=True, slots=True)
class Limits:
    """What the pass demands of the groups of an event."""

    demand: float  # nats of evidence for joining two groups
    width: float  # the least mean similarity inside a group
    least: int  # faces


def refined(
    faces: Faces, first: Index, thresholds: Thresholds, least: int, epsilon: float = NEUTRAL
) -> Index:
    """The first pass's labels, bettered. (n,) -> (n,), groups of at least ``least``, the rest -1.

    The rows are in canonical order. ``epsilon``: 0.1 more joins what is 0.1 less alike.
    """
    leniency = epsilon - NEUTRAL
    crowd = crowd_of(faces.rows, first, thresholds.spread)
    evidence = evidence_for(thresholds).among(crowd, leniency)
    demand = demand_of(len(first))
    limits = Limits(demand, thresholds.width - leniency, least)
    founders = faces.founders(thresholds.silent - leniency)
    group = close_groups(founders, first, thresholds.sure - leniency)
    group = agglomerated(founders, group, evidence, demand)
    group = parted(founders, group, evidence, limits)
    group = seen_often_enough(faces, group, thresholds.sure - leniency, least)
    group = settled_within(faces, group, evidence, limits)
    return np.where(sizes(group) >= least, group, -1)


def demand_of(faces: int) -> float:
    """The evidence that joining takes in an event of so many faces, in nats."""
    return PER_LOG_FACE * float(np.log(max(faces, 2))) - FREE


def close_groups(faces: Faces, first: Index, bar: float) -> Index:
    """Where joining starts: the first pass's groups of which MOST faces are like the others.

    -> (n,) each face's group, numbered by its first face; all others stand alone. ``bar``: the
    least mean similarity of each face to the others of its group.
    """
    start = np.arange(len(first))
    inside = (first >= 0) & faces.founds
    members, count = np.flatnonzero(inside), int(first.max(initial=-1)) + 1
    label = first[members]
    groups = groups_of(faces.rows, inside.astype(np.float32), first, count)
    own = dots(faces.rows, members, groups.sums, label) - 1
    fits = own / np.maximum(groups.weight[label] - 1, 1) >= bar
    fits &= ~faces.photos.at(members).doubled(label)
    close = fits & (np.bincount(label, fits, count) >= MOST * groups.weight)[label]
    lead = np.full(count, len(first))
    np.minimum.at(lead, label[close], members[close])
    start[members[close]] = lead[label[close]]
    return start


def parted(faces: Faces, group: Index, evidence: Evidence, limits: Limits) -> Index:
    """Groups too wide for one person (children, blurs) joined anew, at ever higher demands."""
    group = group.copy()
    for attempt in range(1, TRIES + 1):
        wide = _wide(faces, group, limits)
        members = np.flatnonzero(wide)
        if len(members) == 0:
            break
        one, other = faces.near
        some = faces.at(members, wide[one] & (group[one] == group[other]))
        alone, demand = np.arange(len(members)), limits.demand + STEP * attempt
        group[members] = members[agglomerated(some, alone, evidence, demand)]
    return group


def settled_within(faces: Faces, group: Index, evidence: Evidence, limits: Limits) -> Index:
    """Each face where it belongs, unless that makes a group too wide for one person."""
    after = settled(faces, group, evidence, limits.least)
    return np.where(_wide(faces, after, limits), group, after)


def _wide(faces: Faces, group: Index, limits: Limits) -> NDArray[np.bool_]:
    """Which faces are in large groups that are less alike inside than they may be. (n,) -> (n,)."""
    wide = sizes(group) >= limits.least
    names, at = np.unique(group[wide], return_inverse=True)
    number = np.full(len(group), -1)
    number[wide] = at
    groups = groups_of(faces.rows, faces.weight, number, len(names))
    itself: F64 = np.bincount(at, faces.weight[wide] ** 2, len(names)).astype(np.float64)
    wide[wide] = (groups.inside(itself) < limits.width)[at]
    return wide
