"""Who owns a new group: people whom a user has touched claim it, and several claims divide it.

A person is *touched* once a user named, hid, merged, assigned or rejected; touched people are
never absorbed by others. Everybody else goes by shared faces alone (matching.py).
"""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32, Index
from memoria.people.roster import Roster

NEAREST = 3  # previous members that a new face is compared with
BLOCK = 2048  # rows compared at once: bounds the memory of dividing one large group


def shared_faces(groups: Index, people: Index) -> tuple[Index, Index, Index]:
    """Pairs that share faces: (n,), (n,) -> group, person, count, each (m,); -1 takes no part."""
    both = (groups >= 0) & (people >= 0)
    pairs, counts = np.unique(
        np.stack([groups[both], people[both]], axis=1), axis=0, return_counts=True
    )
    return pairs[:, 0], pairs[:, 1], counts.astype(np.intp)


def homes(groups: Index, prior: Index, people: int) -> Index:
    """The group that holds most faces of each person. (n,), (n,) -> (people,), -1 for none."""
    group, person, count = shared_faces(groups, prior)
    first = _first(person, np.lexsort((group, -count, person)))
    home = np.full(people, -1, dtype=np.intp)
    home[person[first]] = group[first]
    return home


def claims(groups: Index, prior: Index, roster: Roster, min_faces: int) -> dict[int, list[int]]:
    """Group -> the people that own it; groups that nobody claims are left out.

    A touched person claims its home. Once a user merged somebody into it, it also claims every
    group in which it has enough faces, or in which it prevails and nobody else claims: what a user
    united is not taken apart again. Where nobody with a name and enough faces claims a group, the
    largest of the other people at home there joins in.
    """
    home = homes(groups, prior, len(roster.ids))
    group, person, count = shared_faces(groups, prior)
    at_home = home[person] == group
    claiming = at_home & roster.touched[person] | roster.united[person] & (count >= min_faces)
    claiming |= (
        _prevails(group, person, count) & roster.united[person] & ~np.isin(group, group[claiming])
    )
    owners: dict[int, list[int]] = defaultdict(list)
    held: dict[int, list[int]] = defaultdict(list)
    for i in np.flatnonzero(claiming).tolist():
        owners[int(group[i])].append(int(person[i]))
        held[int(group[i])].append(int(count[i]))
    strangers = np.flatnonzero(at_home & ~roster.touched[person])
    for i in strangers[np.argsort(-count[strangers], kind="stable")].tolist():
        claimed, faces = owners.get(int(group[i]), []), held[int(group[i])]
        absorbs = any(
            roster.named[owner] and number >= min_faces
            for owner, number in zip(claimed, faces, strict=True)
        )
        if claimed and not absorbs and count[i] > max(faces):
            claimed.append(int(person[i]))
            faces.append(int(count[i]))
    return dict(owners)


def _prevails(group: Index, person: Index, count: Index) -> NDArray[np.bool_]:
    """Whether the person holds most of the known faces of the group: half of them at least."""
    known_faces = np.bincount(group, weights=count, minlength=1)
    prevails = np.zeros(len(group), dtype=bool)
    prevails[_first(group, np.lexsort((person, -count, group)))] = True
    found: NDArray[np.bool_] = prevails & (2 * count >= known_faces[group])
    return found


def _first(keys: Index, order: Index) -> Index:
    """Indices of the first entry of each key along an order that sorts by key."""
    _, first = np.unique(keys[order], return_index=True)
    return order[first]


def divide(
    vectors: F32, prior: Index, owners: list[int], allowed: NDArray[np.bool_], min_faces: int
) -> Index:
    """Share out one group. (n, d), (n,), k people, (n, k) -> (n,) people, -1 for nobody.

    Owners keep their faces; every other face goes to the owner it may belong to whose members
    are nearest. Owners with fewer than ``min_faces`` here keep what they have and attract
    nothing while a larger one is there: one corrected face must not pull its neighbours along.
    """
    people = np.array(owners, dtype=np.intp)
    if len(people) == 1:
        return np.where(allowed[:, 0], people[0], -1)
    taken = np.where(np.isin(prior, people), prior, -1)
    sizes = np.array([np.count_nonzero(taken == owner) for owner in people])
    attracting = sizes >= min_faces
    if not attracting.any():
        attracting = sizes == sizes.max()
    free = np.flatnonzero(taken < 0)
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
    nearest = min(NEAREST, len(members))
    found = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        similar = rows[start : start + BLOCK] @ members.T
        top = np.partition(similar, len(members) - nearest, axis=1)[:, -nearest:]
        found[start : start + BLOCK] = top.mean(axis=1)
    return found
