"""Groups onto people, once: who each face is by the rules of resolve.py."""

from dataclasses import dataclass, field
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import Index
from memoria.people.centre import centroid
from memoria.people.matching import match_by_faces, match_by_likeness
from memoria.people.owners import (
    STRANGERS,
    divide,
    largest_group_of,
    members_of,
    owners_of_groups,
    shared_faces,
)
from memoria.people.roster import Roster, make_roster
from memoria.people.types import EventFaces, KnownPeople

PEOPLE = UUID("9d3c5b0e-7e0f-5a51-9a34-2f4b6f1c8e77")  # the namespace of new people's ids


@dataclass(slots=True, eq=False)
class Placement:
    """Groups are matched one model at a time, by ``place_all``; then the arrays tell."""

    faces: EventFaces
    known: KnownPeople
    event_id: str
    min_faces: int
    similarity: float  # cosine, by which somebody without faces is found again
    roster: Roster = field(init=False)
    person: Index = field(init=False)  # (n,) roots, into ``ids``; -1 nobody's
    identity: Index = field(init=False)  # (n,) into ``ids``, each under its root; -1 nobody's
    new_ids: list[UUID] = field(default_factory=list)
    taken: set[UUID] = field(init=False)  # ids in use
    seen_as: dict[int, int] = field(
        init=False, default_factory=dict
    )  # row -> identity, by likeness

    def __post_init__(self) -> None:
        self.roster = make_roster(self.faces, self.known)
        self.person = np.where(self.roster.pinned >= 0, self.roster.pinned, -1)
        self.taken = set(self.roster.ids)

    @property
    def ids(self) -> tuple[UUID, ...]:
        """Known identities, oldest first, and the new ones."""
        return (*self.roster.ids, *self.new_ids)

    def place_all(self, labels: Index) -> None:
        """Decide every face. (n,) groups, -1 for noise."""
        for model in range(len(self.faces.models)):
            rows = np.flatnonzero(self.faces.model_index == model)
            self._place(rows, labels[rows], model)
        self._keep_settled()
        self.identity = self._identities(labels)

    def _place(self, rows: Index, groups: Index, model: int) -> None:
        """Decide the faces of one model."""
        parts = np.array(groups, dtype=np.intp)
        self._take_out_assigned(rows, parts)
        owners = owners_of_groups(parts, self.roster.prior[rows], self.roster, self.min_faces)
        self._take_out_merged(rows, parts, owners)
        person = self._divide(rows, parts, owners)
        self._match(rows, parts, person, model)
        self.person[rows] = np.where(
            self.roster.pinned[rows] >= 0, self.roster.pinned[rows], person
        )

    def _take_out_assigned(self, rows: Index, parts: Index) -> None:
        """A user assigned one face, not the group around it: the face leaves it; in place.

        It stays where the group is the largest one of the person that it was assigned to.
        """
        pinned = self.roster.pinned[rows]
        largest = largest_group_of(parts, self.roster.prior[rows], len(self.roster.ids))
        assigned = np.flatnonzero((pinned >= 0) & (parts >= 0))
        parts[assigned[largest[pinned[assigned]] != parts[assigned]]] = -1

    def _take_out_merged(self, rows: Index, parts: Index, owners: dict[int, list[int]]) -> None:
        """A person into whom others were merged keeps its faces in groups of others; in place."""
        prior = self.roster.prior[rows]
        for row in np.flatnonzero(np.isin(prior, np.flatnonzero(self.roster.merge_target))):
            if prior[row] not in owners.get(int(parts[row]), ()):
                parts[row] = -1

    def _divide(self, rows: Index, parts: Index, owners: dict[int, list[int]]) -> Index:
        """The faces of owned groups to their owners; the groups vanish from ``parts``. -> (m,).

        What is the strangers' becomes a part of its own, and so do enough faces of one group that
        may be none of its owners: a user said so of each. Those of a touched person stay with it.
        """
        roster, members = self.roster, members_of(parts)
        person = np.full(len(rows), -1, dtype=np.intp)
        spare = int(parts.max(initial=-1)) + 1
        prior = np.where(roster.strangers, STRANGERS, roster.prior)[rows]
        for group, people in owners.items():
            inside = members[group]
            allowed = np.stack([self._may_be(rows[inside], who) for who in people], axis=1)
            vectors = self.faces.vectors[rows[inside]]
            found = divide(vectors, prior[inside], people, allowed, self.min_faces)
            outcast = (found == STRANGERS) | ((found == -1) & ~roster.settled[rows[inside]])
            is_part = STRANGERS in people or np.count_nonzero(outcast) >= self.min_faces
            person[inside] = np.maximum(found, -1)
            parts[inside] = np.where(outcast & is_part, spare, -1)
            spare += 1
        return person

    def _may_be(self, rows: Index, who: int) -> NDArray[np.bool_]:
        return np.ones(len(rows), bool) if who == STRANGERS else self.roster.may_be(rows, who)

    def _match(self, rows: Index, parts: Index, person: Index, model: int) -> None:
        """Give the parts without an owner to the remaining people, or to new ones; in place."""
        roster, prior, members = self.roster, self.roster.prior[rows], members_of(parts)
        free = np.isin(prior, np.flatnonzero(~roster.touched)) & ~np.isin(prior, person)
        found = match_by_faces(parts, np.where(free, prior, -1))
        left = {part: rows[inside] for part, inside in members.items() if part not in found}
        busy = {*found.values(), *person.tolist(), *self.person.tolist()}
        found |= self._recognise(left, busy, model)
        for part, inside in members.items():
            who = found.get(part)
            if who is not None:
                person[inside] = np.where(roster.may_be(rows[inside], who), who, -1)
            elif len(inside) > 1:
                person[inside] = self._newcomer(rows[inside[0]])

    def _recognise(self, left: dict[int, Index], busy: set[int], model: int) -> dict[int, int]:
        """People without faces, among the parts that are nobody's, by their last centroid.

        ``left``: the rows of each part.
        """
        name = self.faces.models[model]
        root = self.roster.root.tolist()
        absent = [
            (index, person.centroid)
            for index, person in enumerate(self.known.people)
            if person.centroid is not None and person.model == name and root[index] not in busy
        ]
        if not absent or not left:
            return {}
        parts, vectors = list(left), self.faces.vectors
        groups = np.stack([centroid(vectors[rows]) for rows in left.values()])
        people = np.stack([vector for _, vector in absent])
        likely = match_by_likeness(groups, people, self.similarity)
        for group, who in likely.items():
            self.seen_as |= dict.fromkeys(left[parts[group]].tolist(), absent[who][0])
        return {parts[group]: root[absent[who][0]] for group, who in likely.items()}

    def _newcomer(self, first_row: int) -> int:
        """The index of a new person, named after its first face; ids in use are passed over.

        Those that are not in use because their person was forgotten are never made again.
        """
        first = f"{self.event_id}/{self.faces.id_of(first_row)}/{self.known.forgettings}"
        number = 0
        while (new_id := uuid5(PEOPLE, f"{first}/{number}")) in self.taken:
            number += 1
        self.taken.add(new_id)
        self.new_ids.append(new_id)
        return len(self.roster.ids) + len(self.new_ids) - 1

    def _keep_settled(self) -> None:
        """Faces that are in nobody's group stay with a person whom a user has touched.

        And with anybody whose faces are of two models.
        """
        stays = (self.person < 0) & self.roster.settled
        self.person = np.where(stays, self.roster.prior, self.person)

    def _identities(self, labels: Index) -> Index:
        """A face that stays with its person keeps its identity. (n,) groups -> (n,).

        Of whom a user merged others into, another face gets the identity that most of its group's
        faces have, or that it looks like: when the merge is taken back, everybody's new photos go
        with them.
        """
        roster = self.roster
        stays = (roster.identity >= 0) & (roster.prior == self.person)
        found = np.where(stays, roster.identity, self.person)
        group, who, faces = shared_faces(labels, np.where(stays, roster.identity, -1))
        by_faces = np.lexsort((-who, faces))  # the last of equals wins: the older
        main = {(group[i], roster.root[who[i]]): who[i] for i in by_faces}
        united = np.isin(self.person, np.flatnonzero(roster.merge_target))
        for row in np.flatnonzero(united & ~stays):
            alike = self.seen_as.get(int(row), found[row])
            found[row] = main.get((labels[row], self.person[row]), alike)
        return found
