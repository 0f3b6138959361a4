"""Known people as arrays over the faces: who each face was, must be, and must not be."""

from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import Index
from memoria.people.types import EventFaces, KnownPeople, uuid_keys


@dataclass(frozen=True, slots=True, eq=False)
class Roster:
    """Indices name known identities; the *root* of an identity is the person a user sees."""

    ids: tuple[UUID, ...]  # (k,) identities, oldest first
    root: Index  # (k,) of each identity; a root is its own
    named: NDArray[np.bool_]  # (k,) of roots
    merge_target: NDArray[np.bool_]  # (k,) of roots: a user merged somebody into it
    told_apart: NDArray[np.bool_]  # (k,) of roots: from anybody
    touched: NDArray[np.bool_]  # (k,) of roots: a user said anything about it at all
    identity: Index  # (n,) of each face, corrections applied; -1 nobody
    before: Index  # (n,) root of each face as it was loaded; -1 nobody
    prior: Index  # (n,) root of each face, corrections applied; -1 nobody
    settled: NDArray[np.bool_]  # (n,) the face does not become nobody's
    strangers: NDArray[np.bool_]  # (n,) prior is somebody whom no user touched
    pinned: Index  # (n,) root a user assigned; -1 none
    rejected: NDArray[np.int64]  # (m,) row * k + root of each face and whom it is not, sorted
    apart: NDArray[np.int64]  # (2 a,) root * k + root of two people told apart, both ways, sorted

    def may_be(self, rows: Index, roots: Index | int) -> NDArray[np.bool_]:
        """Whether no user denied that the face is this person. (m,), (m,) or one -> (m,).

        Nor told whose it is apart from this person.
        """
        who = self.prior[rows] * len(self.ids) + roots
        return ~np.isin(who, self.apart) & ~np.isin(rows * len(self.ids) + roots, self.rejected)


def make_roster(faces: EventFaces, known: KnownPeople) -> Roster:
    """Known people and what users said of them, for the faces of a run.

    What names a person or a face that is no longer there is left out.
    """
    ids = tuple(person.id for person in known.people)
    position = {person_id: index for index, person_id in enumerate(ids)}
    root = _roots(known, position)
    loaded = _loaded_identities(faces, ids)
    before = _root_of(root, loaded)
    pins = _pinned_identities(faces, known, position)
    pinned = _root_of(root, pins)
    rejected = _rejected(faces, known, position, root, pinned)
    identity = np.where((pinned >= 0) & (pinned != before), pins, loaded)
    denied = np.isin(np.arange(len(faces)) * len(ids) + _root_of(root, identity), rejected)
    identity[denied] = -1
    apart = _apart(known, root, position)
    named, merge_target, touched = _standing(known, root, position)
    told_apart = np.isin(np.arange(len(ids)), apart // max(len(ids), 1))
    touched |= told_apart
    prior = _root_of(root, identity)
    return Roster(
        ids=ids,
        root=root,
        named=named,
        merge_target=merge_target,
        told_apart=told_apart,
        touched=touched,
        identity=identity,
        before=before,
        prior=prior,
        settled=np.isin(prior, np.flatnonzero(touched | _of_two_models(faces, prior, len(ids)))),
        strangers=np.isin(prior, np.flatnonzero(~touched)),
        pinned=pinned,
        rejected=rejected,
        apart=apart,
    )


def _of_two_models(faces: EventFaces, prior: Index, people: int) -> NDArray[np.bool_]:
    """Who has faces of more than one model. (n,) -> (people,).

    While an event goes over to another model, those of one may be too few for a group.
    """
    models, known = max(len(faces.models), 1), prior >= 0
    pairs = np.unique(prior[known] * models + faces.model_index[known])
    return np.bincount(pairs // models, minlength=people) > 1


def _pinned_identities(faces: EventFaces, known: KnownPeople, position: dict[UUID, int]) -> Index:
    """(n,) the identity that a user assigned to each face, the last word; -1 none."""
    pins = _pairs(faces, known.pins, position)
    pinned = np.full(len(faces), -1, dtype=np.intp)
    pinned[pins[:, 0]] = pins[:, 1]
    return pinned


def _rejected(
    faces: EventFaces, known: KnownPeople, position: dict[UUID, int], root: Index, pinned: Index
) -> NDArray[np.int64]:
    """Row * k + root of each face and whom it is not; what a pin contradicts is left out."""
    rejections = _pairs(faces, known.rejections, position)
    rows, roots = rejections[:, 0], root[rejections[:, 1]]
    holds = pinned[rows] != roots
    return np.unique(rows[holds] * len(position) + roots[holds])


def _apart(known: KnownPeople, root: Index, position: dict[UUID, int]) -> NDArray[np.int64]:
    """Of pairs whose two are one person by now, none."""
    pairs = np.array(
        [(position[a], position[b]) for a, b in known.apart if a in position and b in position],
        dtype=np.intp,
    ).reshape(-1, 2)
    one, other = root[pairs[:, 0]], root[pairs[:, 1]]
    one, other = one[one != other], other[one != other]
    return np.unique(np.append(one * len(root) + other, other * len(root) + one))


def _roots(known: KnownPeople, position: dict[UUID, int]) -> Index:
    roots = [position.get(person.root, own) for own, person in enumerate(known.people)]
    return np.array(roots, dtype=np.intp)


def _root_of(root: Index, identity: Index) -> Index:
    known = identity >= 0
    found = np.full(len(identity), -1, dtype=np.intp)
    found[known] = root[identity[known]]
    return found


def _loaded_identities(faces: EventFaces, ids: tuple[UUID, ...]) -> Index:
    if not ids or not len(faces):
        return np.full(len(faces), -1, dtype=np.intp)
    keys = np.array([person_id.bytes for person_id in ids], dtype="S16")
    order = np.argsort(keys)
    wanted = uuid_keys(faces.identities)
    place = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(ids) - 1)
    return np.where(keys[order[place]] == wanted, order[place], -1)


def _pairs(
    faces: EventFaces, said: tuple[tuple[UUID, UUID], ...], position: dict[UUID, int]
) -> Index:
    """(face, person) ids -> (m, 2) of row and identity."""
    rows = faces.rows_of(face_id for face_id, _ in said).tolist() if said else []
    found = [
        (row, position[person_id])
        for row, (_, person_id) in zip(rows, said, strict=True)
        if row >= 0 and person_id in position
    ]
    return np.array(found, dtype=np.intp).reshape(-1, 2)


def _standing(
    known: KnownPeople, root: Index, position: dict[UUID, int]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    own = np.arange(len(root))
    named = np.array([person.name is not None for person in known.people], dtype=bool)
    hidden = np.array([person.hidden for person in known.people], dtype=bool)
    named[root[named]] = True
    merge_target = np.zeros(len(root), dtype=bool)
    merge_target[root[root != own]] = True
    touched = named | hidden | merge_target  # nobody's is hidden, too
    said = [
        position[who]
        for _, who in (*known.pins, *known.rejections, *known.covers)
        if who in position
    ]
    touched[root[np.array(said, dtype=np.intp)]] = True
    return named, merge_target, touched
