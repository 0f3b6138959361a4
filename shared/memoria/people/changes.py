"""What a run did to people, told from who each face was and who it is now."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from memoria.arrays import Index
from memoria.people.owners import shared_faces
from memoria.people.roster import Roster
from memoria.people.types import Change, ChangeKind

Told = tuple[ChangeKind, int, int | None, int]  # kind, person, the other, faces; indices into ids


@dataclass(frozen=True, slots=True, eq=False)
class _Flows:
    """How many faces went from whom to whom, as indices into k ids."""

    had: Index  # (k,)
    has: Index  # (k,)
    kept: dict[int, int]  # faces that are still a person's
    moves: list[tuple[int, int, int]]  # from, to another, faces
    arrived: dict[int, tuple[int, int]]  # of each person, the other from whom most came, and those
    left: dict[int, tuple[int, int]]  # of each person, the other to whom most went, and those


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
    flows, known = _flows(before, after, len(ids)), len(roster.ids)
    told = [
        _of_known(flows, who, bool(roster.touched[who])) if who < known else _of_new(flows, who)
        for who in np.flatnonzero(flows.has | flows.had).tolist()
    ]
    told += [
        ("moved", target, source, faces)
        for source, target, faces in flows.moves
        if flows.has[source] and target < known and flows.had[target]
    ]
    return tuple(
        Change(kind, ids[who], None if other is None else ids[other], faces)
        for kind, who, other, faces in told
    )


def _of_new(flows: _Flows, who: int) -> Told:
    source, came = flows.arrived.get(who, (None, 0))
    has = int(flows.has[who])
    return ("split", who, source, has) if 2 * came > has else ("new", who, None, has)


def _of_known(flows: _Flows, who: int, is_touched: bool) -> Told:
    if who in flows.kept:
        return "kept", who, None, flows.kept[who]
    if flows.has[who]:
        return "returned", who, None, int(flows.has[who])
    had = int(flows.had[who])
    target, went = flows.left.get(who, (None, 0))
    if target is not None and 2 * went >= had:
        return "merged", target, who, went
    return "emptied" if is_touched else "gone", who, None, had


def _flows(before: Index, after: Index, size: int) -> _Flows:
    pairs = zip(*(column.tolist() for column in shared_faces(before, after)), strict=True)
    flows: list[tuple[int, int, int]] = list(pairs)
    moves = [flow for flow in flows if flow[0] != flow[1]]
    return _Flows(
        had=_counts(before, size),
        has=_counts(after, size),
        kept={source: faces for source, target, faces in flows if source == target},
        moves=moves,
        arrived=_largest((target, source, faces) for source, target, faces in moves),
        left=_largest(moves),
    )


def _counts(people: Index, size: int) -> Index:
    return np.bincount(people[people >= 0], minlength=size).astype(np.intp)


def _largest(flows: Iterable[tuple[int, int, int]]) -> dict[int, tuple[int, int]]:
    """(from, to, faces) -> the largest (to, faces) of each from."""
    found: dict[int, tuple[int, int]] = {}
    for source, target, faces in flows:
        if faces > found.get(source, (0, 0))[1]:
            found[source] = (target, faces)
    return found
