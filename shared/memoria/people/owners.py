"""Which people own a new group, and how several owners share its faces.

A person is *touched* once a user named it, hid it, merged somebody into it, assigned a face to it
or took one away from it. Touched people own the groups where most of their faces are; all other
people are matched with the groups that are left (matching.py).
"""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32, Index
from memoria.people.roster import Roster

NEAREST = 3  # previous members that a new face is compared with
BLOCK = 2**22  # similarities at once: bounds the memory of dividing one large group
STRANGERS = -2  # in the place of an owner: the faces of untouched people, a part of their own


def shared_faces(groups: Index, people: Index) -> tuple[Index, Index, Index]:
    """Pairs that share faces: (n,), (n,) -> group, person, count, each (m,); -1 takes no part."""
    both = (groups >= 0) & (people >= 0)
    pairs, counts = np.unique(
        np.stack([groups[both], people[both]], axis=1), axis=0, return_counts=True
    )
    return pairs[:, 0], pairs[:, 1], counts.astype(np.intp)


def members_of(groups: Index) -> dict[int, Index]:
    """The rows of each group, all found in one pass. (n,) numbers, -1 for none."""
    order = np.argsort(groups, kind="stable")
    names, starts = np.unique(groups[order], return_index=True)
    rows = np.split(order, starts[1:])
    return {name: rows[i] for i, name in enumerate(names.tolist()) if name >= 0}


def largest_group_of(groups: Index, prior: Index, people: int) -> Index:
    """The group with most faces of each person. (n,), (n,) -> (people,), -1 for none."""
    group, person, count = shared_faces(groups, prior)
    first = _first(person, np.lexsort((group, -count, person)))
    largest = np.full(people, -1, dtype=np.intp)
    largest[person[first]] = group[first]
    return largest


def owners_of_groups(
    groups: Index, prior: Index, roster: Roster, min_faces: int
) -> dict[int, list[int]]:
    """Group -> the people that own it; groups without an owner are left out. (n,), (n,).

    A touched person owns the group with most of its faces. A person into whom a user merged
    others also owns every group in which it has ``min_faces``, and a group without another owner
    in which it has the majority: what a user merged is not taken apart again. So does who was told
    apart from somebody: a part that became a newcomer could join that somebody.

    In a group that has owners, but none of them with a name and ``min_faces``, whoever has more
    faces than any of them owns it as well: another touched person, or ``STRANGERS``.
    """
    group, person, count = shared_faces(groups, prior)
    in_largest = largest_group_of(groups, prior, len(roster.ids))[person] == group
    touched = roster.touched[person]
    stays_whole = (roster.merge_target | roster.told_apart)[person]
    owns = (in_largest & touched) | (stays_whole & (count >= min_faces))
    without_owner = ~np.isin(group, group[owns])
    owns |= stays_whole & without_owner & _has_majority(group, person, count)
    owners: dict[int, list[tuple[int, int]]] = defaultdict(list)  # (person, faces) of each group
    for i in np.flatnonzero(owns).tolist():
        owners[int(group[i])].append((int(person[i]), int(count[i])))
    for number, who, faces in _rivals(group, person, count, touched, owns):
        here = owners.get(number, [])
        if here and all(
            theirs < faces and not (roster.named[owner] and theirs >= min_faces)
            for owner, theirs in here
        ):
            here.append((who, faces))
    return {number: [who for who, _ in here] for number, here in owners.items()}


def _rivals(
    group: Index, person: Index, count: Index, touched: NDArray[np.bool_], owns: NDArray[np.bool_]
) -> list[tuple[int, int, int]]:
    """(group, person, faces), most faces first: touched people who do not own, all strangers."""
    others = touched & ~owns
    found = list(zip(*(column[others].tolist() for column in (group, person, count)), strict=True))
    strangers = np.bincount(group[~touched], weights=count[~touched]).astype(np.intp)
    found += [(number, STRANGERS, faces) for number, faces in enumerate(strangers.tolist())]
    return sorted(found, key=lambda rival: -rival[2])


def _has_majority(group: Index, person: Index, count: Index) -> NDArray[np.bool_]:
    """Whether the person has at least half of the faces in the group that are somebody's."""
    known_faces = np.bincount(group, weights=count, minlength=1)
    has_most = np.zeros(len(group), dtype=bool)
    has_most[_first(group, np.lexsort((person, -count, group)))] = True
    found: NDArray[np.bool_] = has_most & (2 * count >= known_faces[group])
    return found


def _first(keys: Index, order: Index) -> Index:
    """Indices of the first entry of each key along an order that sorts by key."""
    _, first = np.unique(keys[order], return_index=True)
    return order[first]


def divide(
    vectors: F32, prior: Index, owners: list[int], allowed: NDArray[np.bool_], min_faces: int
) -> Index:
    """Share out one group. (n, d), (n,), k people, (n, k) -> (n,) people, -1 for nobody.

    Owners keep their faces, also ``STRANGERS``; every other face goes to the owner it may belong
    to whose members are nearest. Owners with fewer than ``min_faces`` here keep what they have and
    attract nothing while a larger one is there: one corrected face must not pull its neighbours
    along.
    """
    people = np.array(owners, dtype=np.intp)
    if len(people) == 1:
        return np.where(allowed[:, 0], people[0], -1)
    taken = np.where(np.isin(prior, people), prior, -1)
    sizes = np.array([np.count_nonzero(taken == owner) for owner in people])
    attracting = sizes >= min_faces
    if not attracting.any():
        attracting = sizes == sizes.max()
    free = np.flatnonzero(taken == -1)
    if len(free) == 0:
        return taken
    affinity = np.full((len(free), len(people)), -np.inf, dtype=np.float32)
    for column in np.flatnonzero(attracting):
        members = vectors[taken == people[column]]
        affinity[:, column] = _nearness(vectors[free], members)
    affinity[~allowed[free]] = -np.inf
    best = affinity.argmax(axis=1)
    reachable = np.isfinite(affinity[np.arange(len(free)), best])
    taken[free] = np.where(reachable, people[best], -1)
    return taken


def _nearness(rows: F32, members: F32) -> F32:
    """Mean cosine similarity with the nearest members. (n, d), (m, d) -> (n,)."""
    nearest, rows_at_once = min(NEAREST, len(members)), max(1, BLOCK // len(members))
    found = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), rows_at_once):
        similar = rows[start : start + rows_at_once] @ members.T
        similar.partition(len(members) - nearest, axis=1)
        found[start : start + rows_at_once] = similar[:, -nearest:].mean(axis=1)
    return found
