"""New groups onto known people, so that people stay who they are.

The rules, in the order in which they win:

1. What a user said of a face binds: pinned faces are that person's, rejected ones never.
2. People whom a user has touched are never absorbed by others: they own the groups where most of
   their faces are, and a group with several owners is divided (owners.py). A face of theirs may
   go to another person's group; it does not become nobody's.
3. Everybody else keeps the group that shares most faces, by an optimal assignment.
4. Whoever has no faces left (the photos were replaced) may be found again by likeness.
5. What remains is somebody new, with an id made from the event, the first face and how often
   the event forgot somebody, so that the same faces give the same ids in every run, but for
   those of the forgotten.

Groups of different models are matched one model at a time: faces shared with the same known
person make them one person; vectors of two models are never compared. Whoever has faces of two
models loses none of them to noise.
"""

from dataclasses import replace
from uuid import UUID

import numpy as np

from memoria.arrays import Index
from memoria.people.centre import best_face, centroid
from memoria.people.changes import list_changes
from memoria.people.owners import members_of
from memoria.people.placement import Placement
from memoria.people.types import EventFaces, KnownPeople, KnownPerson, PeopleResult, PersonGroup

SIMILARITY = 0.6  # cosine, between the centroids of one person's old and new photos
ROUNDS = 8  # most; two are usual


def resolve_people(
    labels: Index,
    faces: EventFaces,
    known: KnownPeople,
    *,
    event_id: str,
    min_cluster_size: int = 3,
    similarity: float = SIMILARITY,
) -> PeopleResult:
    """Groups into people.

    ``labels`` (n,) are the groups of a run, -1 for noise; no group holds faces of two models.
    Running it again on its own outcome changes nothing: where users said something, or two models
    meet, it is placed again and again until that is so.
    """
    groups = np.asarray(labels)
    placed = Placement(faces, known, event_id, min_cluster_size, similarity)
    roster = placed.roster
    placed.place_all(groups)
    for _ in range(ROUNDS if roster.touched.any() or roster.settled.any() else 0):
        again = replace(placed, faces=_as_placed(placed), known=_known_now(placed), new_ids=[])
        again.place_all(groups)
        if np.array_equal(again.identity, placed.identity):
            break
        placed = again
    return PeopleResult(
        faces=faces,
        groups=_groups(placed, len(roster.ids)),
        nobody=np.flatnonzero(placed.person < 0),
        changes=list_changes(roster.before, placed.person, placed.ids, roster),
        moved=int(np.count_nonzero((roster.before >= 0) & (roster.before != placed.person))),
    )


def _as_placed(placed: Placement) -> EventFaces:
    """The faces as the next run would load them."""
    ids = np.frombuffer(b"".join(who.bytes for who in placed.ids), np.uint8).reshape(-1, 16)
    of_nobody = np.zeros((1, 16), np.uint8)  # the last row: index -1
    return replace(placed.faces, identities=np.concatenate([ids, of_nobody])[placed.identity])


def _known_now(placed: Placement) -> KnownPeople:
    made = tuple(KnownPerson(who) for who in placed.new_ids)
    return replace(placed.known, people=(*placed.known.people, *made))


def _groups(placed: Placement, known: int) -> tuple[PersonGroup, ...]:
    """Per identity; ``known`` is how many there were before."""
    ids = placed.ids
    return tuple(
        _group(placed.faces, ids[who], who >= known, rows)
        for who, rows in members_of(placed.identity).items()
    )


def _group(faces: EventFaces, who: UUID, is_new: bool, rows: Index) -> PersonGroup:
    model = int(np.bincount(faces.model_index[rows]).argmax())
    seen = rows[faces.model_index[rows] == model]
    middle = centroid(faces.vectors[seen])
    return PersonGroup(
        person_id=who,
        is_new=is_new,
        rows=rows,
        representative=int(seen[best_face(faces, seen, middle)]),
        model=faces.models[model],
        centroid=middle,
    )
