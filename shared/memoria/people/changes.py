"""What a run did to people, told from who each face was and who it is now."""

from collections.abc import Iterable
from uuid import UUID

import numpy as np

from memoria.arrays import Index
from memoria.people.owners import shared_faces
from memoria.people.roster import Roster
from memoria.people.types import Change, ChangeKind


def list_changes(
    before: Index, after: Index, ids: tuple[UUID, ...], roster: Roster
) -> tuple[Change, ...]:
    """One change for each person that has faces or had some. (n,), (n,) indices into ids.

    ``new``: not seen before. ``split``: new, mostly from the faces of another. ``kept``:
    still has faces it had. ``returned``: known, and none of its faces was its own before.
    ``merged``: ``other`` has no faces left, most went to ``person``. ``emptied`` (touched by a
    user, stays) and ``gone``: no faces left, most are nobody's. ``moved``: some faces went from
    one person, who stays, to another who was there before.
    """
    had = _counts(before, len(ids))
    has = _counts(after, len(ids))
    flows = [
        (int(source), int(target), int(faces))
        for source, target, faces in zip(*shared_faces(before, after), strict=True)
    ]
    kept = {source: faces for source, target, faces in flows if source == target}
    arrived = _largest((target, source, n) for source, target, n in flows if source != target)
    left = _largest(flow for flow in flows if flow[0] != flow[1])
    known = len(roster.ids)
    changes: list[Change] = []

    def add(kind: ChangeKind, who: int, other: int | None, faces: int) -> None:
        changes.append(Change(kind, ids[who], None if other is None else ids[other], faces))

    for who in np.flatnonzero(has | had).tolist():
        source, came = arrived.get(who, (None, 0))
        target, went = left.get(who, (None, 0))
        if who >= known:
            splits = 2 * came > has[who]
            add("split" if splits else "new", who, source if splits else None, int(has[who]))
        elif who in kept:
            add("kept", who, None, kept[who])
        elif has[who]:
            add("returned", who, None, int(has[who]))
        elif target is not None and 2 * went >= had[who]:
            add("merged", target, who, went)
        else:
            add("emptied" if roster.touched[who] else "gone", who, None, int(had[who]))
    for source, target, faces in flows:
        if source != target and has[source] and target < known and had[target]:
            add("moved", target, source, faces)
    return tuple(changes)


def _counts(people: Index, size: int) -> Index:
    return np.bincount(people[people >= 0], minlength=size).astype(np.intp)


def _largest(flows: Iterable[tuple[int, int, int]]) -> dict[int, tuple[int, int]]:
    """(from, to, faces) -> the largest (to, faces) of each from."""
    found: dict[int, tuple[int, int]] = {}
    for source, target, faces in flows:
        if faces > found.get(source, (0, 0))[1]:
            found[source] = (target, faces)
    return found
