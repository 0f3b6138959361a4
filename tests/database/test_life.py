"""The life of an event: photos come, go and are looked at again while users correct people.

Whatever happens in whatever order: nobody who has a name loses it, nothing a user said is undone.
"""

import os
from collections import Counter
from collections.abc import Iterator
from copy import copy
from itertools import count
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from local.processes.postgres import Postgres
from memoria.arrays import F32
from memoria.people.types import PeopleResult
from memoria.store.jobs import Claim
from tests.database.project import Box, Project, likeness

GUESTS = 7
EVENTS = count()
CHURN: Counter[str] = Counter()
Slot = tuple[str, int]  # photo, place in it: what a face is, whatever id it has

ACTIONS = (
    *("a_person_is_renamed",) * 3,
    "a_person_is_hidden",
    "a_face_is_assigned",
    "a_face_is_rejected",
    "two_people_are_merged",
    "a_person_is_split",
    "two_people_are_told_apart",
    "a_cover_is_chosen",
    "a_face_is_dismissed",
    "a_face_is_drawn",
    *("a_question_is_answered",) * 2,
    *("a_change_is_taken_back",) * 3,
    "a_person_is_forgotten",
)
EXAMPLES = int(os.environ.get("LIFE_EXAMPLES", "8"))
picks = st.integers(0, 10**6)
SAID = (
    "names", "hidden", "merged", "pins", "rejections", "apart", "covers", "dismissed", "drawn",
)  # fmt: skip
corrections = st.lists(st.tuples(st.sampled_from(ACTIONS), picks, picks), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def project(postgres_server: Postgres) -> Iterator[Project]:
    with Project(postgres_server.create_database("life", template="migrated")) as project:
        yield project
    postgres_server.drop_database("life")


class Life(RuleBasedStateMachine):
    """One event. What users said is kept here as they said it, to hold the database to it."""

    places = 3  # faces in one photo, side by side
    alike = 0.6  # how alike the two siblings look, as a cosine similarity

    def __init__(self, project: Project) -> None:
        super().__init__()
        self.project, self.event = project, f"event {next(EVENTS)}"
        self.guest: dict[Slot, int] = {}  # who is really there
        self.face: dict[Slot, UUID] = {}
        self.unseen: set[Slot] = set()  # faces that no run has looked at yet
        self.names: dict[UUID, str] = {}
        self.hidden: dict[UUID, bool] = {}
        self.merged: dict[UUID, UUID] = {}
        self.pins: dict[Slot, UUID] = {}
        self.rejections: set[tuple[Slot, UUID]] = set()
        self.apart: set[frozenset[UUID]] = set()
        self.covers: dict[UUID, Slot] = {}
        self.dismissed: set[Slot] = set()
        self.drawn: set[Slot] = set()
        self.changes: list[tuple[int, dict[str, Any]]] = []  # with what was said before
        self.tombstones: set[Slot] = set()
        self.forgotten: set[UUID] = set()
        self.photos = 0
        self.run: tuple[Claim, PeopleResult] | None = None

    @initialize(seed=picks)
    def invite(self, seed: int) -> None:
        """Guests look different from each other, but for two siblings."""
        self.rng = np.random.default_rng(seed)
        looks = self.rng.standard_normal((2, GUESTS, 512))
        looks /= np.linalg.norm(looks, axis=2, keepdims=True)
        self.looks: dict[str, F32] = dict(zip(("small", "large"), looks.astype("f4"), strict=True))
        for model in self.looks.values():
            model[1] = likeness(model[0], self.alike, self.rng)
        self.upload([0, 1, 2, 3] * 4, "small")
        self.everybody_is_grouped(epsilon=0.4, min_cluster_size=3)
        self.users_correct([("a_person_is_renamed", 0, 0), ("a_person_is_renamed", 1, 1)])

    # photos

    @rule(who=st.lists(st.integers(0, GUESTS - 1), min_size=3, max_size=12))
    def photos_arrive(self, who: list[int]) -> None:
        self.upload(who, "small")

    @precondition(lambda self: self.guest)
    @rule(pick=picks)
    def a_photo_is_deleted(self, pick: int) -> None:
        photo = self.some_photo(pick)
        self.project.call("delete_media", media_id=photo)
        self.changes.clear()
        self.covers = {who: slot for who, slot in self.covers.items() if slot[0] != photo}
        self.dismissed = {slot for slot in self.dismissed if slot[0] != photo}
        self.drawn = {slot for slot in self.drawn if slot[0] != photo}
        for slot in self.slots_of(photo):
            self.guest.pop(slot)
            self.face.pop(slot, None)
            self.pins.pop(slot, None)
            self.rejections = {said for said in self.rejections if said[0] != slot}
            self.unseen.discard(slot)
            self.tombstones.discard(slot)

    @precondition(lambda self: self.guest)
    @rule(
        pick=picks,
        photos=st.integers(1, 12),
        model=st.sampled_from(["small", "large"]),
        misses=st.booleans(),
    )
    def photos_are_looked_at_again(self, pick: int, photos: int, model: str, misses: bool) -> None:
        """By another model perhaps, which misses a face now and then and finds it later."""
        for offset in range(photos):
            photo = self.some_photo(pick + offset)
            slots = self.slots_of(photo)
            self.process(photo, slots[1:] if misses and offset == 0 else slots, model)

    # runs

    @precondition(lambda self: self.run is None)
    @rule(
        epsilon=st.sampled_from([0.3, 0.4, 0.55, 0.8]),
        min_cluster_size=st.integers(2, 4),
    )
    def everybody_is_grouped(self, epsilon: float, min_cluster_size: int) -> None:
        before = self.owners()
        held = Counter(before.values())
        asked = {"epsilon": epsilon, "min_cluster_size": min_cluster_size}
        result = self.project.cluster(self.event, **asked)
        self.unseen.clear()
        CHURN.update(moved=result.moved, settled=held.total() - held[None], runs=1)
        self.nobody_went_over(before)
        again = self.project.group(self.event, **asked)
        assert again.moved == 0
        assert {change.kind for change in again.changes} <= {"kept"}

    @precondition(lambda self: self.run is None)
    @rule()
    def a_run_begins(self) -> None:
        self.run = self.project.claim_run(self.event), self.project.group(self.event)

    @precondition(lambda self: self.run is not None)
    @rule()
    def the_run_ends(self) -> None:
        """Whatever users said since it began."""
        assert self.run is not None
        before = self.owners()
        assert self.project.save(*self.run)["outcome"] == "stored"
        self.nobody_went_over(before)
        seen = {self.run[1].faces.id_of(row) for row in range(len(self.run[1].faces))}
        self.unseen = {slot for slot in self.unseen if self.face.get(slot) not in seen}
        self.run = None

    def nobody_went_over(self, before: dict[Slot, UUID | None]) -> None:
        """No face went from one to whom it was told apart from, no named person is left without."""
        held, now = Counter(before.values()), self.owners()
        after = Counter(now.values())
        for slot, person in before.items():
            assert frozenset((person, now[slot])) not in self.apart, "told apart, and went over"
        for person in self.names:
            assert not held[person] or after[person], "a named person lost all its faces"

    # what users say

    @rule(
        actions=st.lists(st.tuples(st.sampled_from(ACTIONS), picks, picks), min_size=1, max_size=5)
    )
    def users_correct(self, actions: list[tuple[str, int, int]]) -> None:
        for action, pick, other in actions:
            getattr(self, action)(pick, other)

    def a_person_is_renamed(self, pick: int, other: int) -> None:
        if person := self.some_person(pick):
            name = ("Ann", "Bob", "Eve", "Kim", "")[other % 5]
            self.does("rename_person", person_id=person, name=name)
            self.names.pop(person, None)
            if name:
                self.names[person] = name

    def a_person_is_hidden(self, pick: int, other: int) -> None:
        if person := self.some_person(pick):
            hidden = bool(other % 2)
            self.does("hide_person", person_id=person, hidden=hidden)
            self.hidden[person] = hidden

    def a_face_is_assigned(self, pick: int, other: int) -> None:
        if slot := self.some_slot(pick):
            person = self.some_person(other) if other % 3 else None
            owner = self.owners()[slot]
            answer = self.does("assign_face", face_id=self.face[slot], person_id=person)
            self.pin(slot, UUID(answer["person_id"]), owner)

    def a_face_is_rejected(self, pick: int, other: int) -> None:
        slot = self.some_slot(pick)
        person = slot and (self.owners()[slot] or self.some_person(other))
        if slot and person:
            self.does("reject_face", face_id=self.face[slot], person_id=person)
            if self.covers.get(person) == slot:
                del self.covers[person]
            if slot in self.pins and self.root(self.pins[slot]) == person:
                del self.pins[slot]
            self.rejections.add((slot, person))

    def two_people_are_merged(self, pick: int, other: int) -> None:
        into, gone = self.some_person(pick), self.some_person(other)
        if into and gone and into != gone:
            theirs = {slot for slot, owner in self.owners().items() if owner in (into, gone)}
            self.does("merge_people", into=into, **{"from": [gone]})
            self.merge(into, gone, theirs)

    def merge(self, into: UUID, gone: UUID, theirs: set[Slot]) -> None:
        self.rejections = {
            (slot, person)
            for slot, person in self.rejections
            if slot not in theirs or self.root(person) not in (into, gone)
        }
        self.merged[gone] = into
        self.apart = {
            pair
            for pair in (frozenset(map(self.root, pair)) for pair in self.apart)
            if len(pair) == 2
        }
        if name := self.names.pop(gone, None):
            self.names.setdefault(into, name)
        if cover := self.covers.pop(gone, None):
            self.covers.setdefault(into, cover)
        self.hidden.pop(gone, None)

    def a_person_is_split(self, pick: int, other: int) -> None:
        person = self.some_person(pick)
        theirs = [slot for slot, owner in self.owners().items() if owner == person][: 1 + other % 4]
        if person and theirs:
            ids = [self.face[slot] for slot in theirs]
            answer = self.does("split_person", person_id=person, face_ids=ids)
            for slot in theirs:
                self.pin(slot, UUID(answer["person_id"]), person)

    def two_people_are_told_apart(self, pick: int, other: int) -> None:
        one, two = self.some_person(pick), self.some_person(other)
        if one and two and one != two:
            self.does("tell_apart", a=one, b=two)
            self.apart.add(frozenset((one, two)))

    def a_cover_is_chosen(self, pick: int, other: int) -> None:
        person = self.some_person(pick)
        theirs = [slot for slot, owner in self.owners().items() if owner == person]
        if person and theirs:
            slot = theirs[other % len(theirs)]
            self.does("set_cover", person_id=person, face_id=self.face[slot])
            self.covers[person] = slot

    def a_face_is_dismissed(self, pick: int, other: int) -> None:
        if slot := self.some_slot(pick):
            self.does("dismiss_face", face_id=self.face[slot])
            self.dismiss(slot)

    def dismiss(self, slot: Slot) -> None:
        self.dismissed.add(slot)
        self.pins.pop(slot, None)
        self.covers = {who: cover for who, cover in self.covers.items() if cover != slot}

    def a_face_is_drawn(self, pick: int, other: int) -> None:
        """One that the last model missed."""
        missed = sorted(self.guest.keys() - self.face.keys() - self.tombstones)
        if missed and (slot := missed[pick % len(missed)]):
            person = self.some_person(other) if other % 2 else None
            bbox = dict(zip("xywh", (0.1 + 0.3 * slot[1], 0.1, 0.2, 0.2), strict=True))
            self.does("add_face", media_id=slot[0], bbox=bbox, person=person)
            (face,) = self.project.rows(
                "select id from memoria.faces where media_id = %s and not detected"
                " and abs(x - %s) < 0.05",
                slot[0],
                bbox["x"],
            )
            self.face[slot] = face["id"]
            self.unseen.add(slot)
            self.drawn.add(slot)
            if person:
                self.pin(slot, person, None)

    def a_question_is_answered(self, pick: int, other: int) -> None:
        asked = self.project.call("suggestions", event_id=self.event, limit=500)["suggestions"]
        if not asked:
            return
        question = asked[pick % len(asked)]
        answer = ("same", "different", "not_sure")[other % 3]
        owners, slots = self.owners(), {str(face): slot for slot, face in self.face.items()}
        CHURN.update(questions=1)
        self.does("answer_suggestion", id=question["id"], answer=answer)
        if question["kind"] == "who_is_this":
            slot = slots[question["face"]["face_id"]]
            candidates = [UUID(one["person_id"]) for one in question["candidates"]]
            if answer == "same":
                self.pin(slot, candidates[0], None)
            elif answer == "different":
                self.rejections |= {(slot, person) for person in candidates}
        else:
            into, gone = (UUID(question[side]["person_id"]) for side in ("into", "from"))
            assert frozenset((into, gone)) not in self.apart, "told apart, and asked about"
            if answer == "same":
                theirs = {slot for slot, owner in owners.items() if owner in (into, gone)}
                self.merge(into, gone, theirs)
            elif answer == "different":
                self.apart.add(frozenset((into, gone)))

    def a_change_is_taken_back(self, pick: int, other: int) -> None:
        """The last one: then all that users said is as it was before it."""
        if self.changes:
            change, said = self.changes.pop()
            self.project.call("undo", change_id=change)
            CHURN.update(undone=1)
            vars(self).update(said)
            there = self.project.person_of(self.event)
            self.face = {slot: face for slot, face in self.face.items() if face in there}

    def does(self, function: str, **arguments: Any) -> Any:
        """A correction, remembered with what was said before it."""
        said = {name: copy(getattr(self, name)) for name in SAID}
        answer = self.project.call(function, **arguments)
        if answer["change_id"] is not None:
            self.changes.append((answer["change_id"], said))
        return answer

    def a_person_is_forgotten(self, pick: int, other: int) -> None:
        if not (person := self.some_person(pick)):
            return
        gone = {slot for slot, owner in self.owners().items() if owner == person}
        gone |= {slot for slot, pinned in self.pins.items() if self.root(pinned) == person}
        self.project.call("forget_person", person_id=person)
        self.changes.clear()
        self.dismissed -= gone
        self.drawn -= gone
        self.apart = {pair for pair in self.apart if person not in map(self.root, pair)}
        self.covers = {who: slot for who, slot in self.covers.items() if slot not in gone}
        self.tombstones |= gone
        for slot in gone:
            self.face.pop(slot, None)
            self.pins.pop(slot, None)
        self.rejections = {
            (slot, other)
            for slot, other in self.rejections
            if slot not in gone and self.root(other) != person
        }
        self.forgotten |= {one for one in (*self.merged, person) if self.root(one) == person}
        self.names.pop(person, None)
        self.hidden.pop(person, None)

    # what must always hold

    @invariant()
    def nothing_said_is_undone(self) -> None:
        owners = self.owners()
        rows = self.project.rows("select * from memoria.persons where event_id = %s", self.event)
        people = {row["id"]: row for row in rows}
        for person, name in self.names.items():
            assert people[person]["name"] == name
        for person, hidden in self.hidden.items():
            assert not hidden or people[person]["hidden"]
        for gone in self.merged:
            assert gone in self.forgotten or people[gone]["merged_into"] == self.root(gone)
        for slot, person in self.pins.items():
            waits = slot in self.unseen and owners.get(slot) is None
            assert slot not in owners or waits or owners[slot] == self.root(person)
        for slot, person in self.rejections:
            assert owners.get(slot) is None or owners[slot] != self.root(person)
        for slot in self.dismissed:
            assert owners.get(slot) is None
        for person, slot in self.covers.items():
            chosen = owners.get(slot) == person
            assert not chosen or people[person]["representative_face_id"] == self.face[slot]
        for pair in self.apart:
            assert all(people[person]["merged_into"] is None for person in pair)
        assert self.drawn <= self.face.keys()
        assert not self.forgotten & people.keys()
        assert not self.tombstones & self.face.keys()
        assert set(owners.values()) - {None} <= people.keys() - self.merged.keys()

    # what there is

    def upload(self, who: list[int], model: str) -> None:
        for start in range(0, len(who), self.places):
            photo = f"{self.event} photo {self.photos}"
            self.photos += 1
            for place, guest in enumerate(who[start : start + self.places]):
                self.guest[photo, place] = guest
            self.process(photo, self.slots_of(photo), model)

    def process(self, photo: str, slots: list[Slot], model: str) -> None:
        faces = [(self.box(slot), self.look(slot, model)) for slot in slots]
        ids = self.project.process(self.event, photo, faces, model)
        for slot in self.slots_of(photo):
            old, new = self.face.pop(slot, None), dict(zip(slots, ids, strict=True)).get(slot)
            if new is None and slot in self.drawn:
                new = old
            assert (new is None) == (slot in self.tombstones or slot not in slots) or new == old
            if new is not None:
                self.face[slot] = new
                if old != new:
                    self.unseen.add(slot)

    def box(self, slot: Slot) -> Box:
        """Where the face is, give or take what models disagree about."""
        x, y = self.rng.uniform(0, 0.02, 2)
        return (0.1 + 0.3 * slot[1] + float(x), 0.1 + float(y), 0.2, 0.2)

    def look(self, slot: Slot, model: str) -> F32:
        """Most photos are good; some look like nobody."""
        likely = float(self.rng.choice([0.85, 0.7, 0.4], p=[0.7, 0.2, 0.1]))
        return likeness(self.looks[model][self.guest[slot]], likely, self.rng)

    def pin(self, slot: Slot, person: UUID, owner: UUID | None) -> None:
        if owner and owner != person:
            self.rejections.add((slot, owner))
        self.rejections = {
            said for said in self.rejections if said[0] != slot or self.root(said[1]) != person
        }
        self.dismissed.discard(slot)
        self.covers = {
            who: cover for who, cover in self.covers.items() if cover != slot or who == person
        }
        self.pins[slot] = person

    def root(self, person: UUID) -> UUID:
        while person in self.merged:
            person = self.merged[person]
        return person

    def owners(self) -> dict[Slot, UUID | None]:
        person_of = self.project.person_of(self.event)
        assert set(person_of) == set(self.face.values())
        return {slot: person_of[face] for slot, face in self.face.items()}

    def some_person(self, pick: int) -> UUID | None:
        listed = self.project.call("people", event_id=self.event, with_hidden=True, limit=500)[
            "people"
        ]
        return UUID(listed[pick % len(listed)]["person_id"]) if listed else None

    def some_slot(self, pick: int) -> Slot | None:
        slots = sorted(self.face)
        return slots[pick % len(slots)] if slots else None

    def some_photo(self, pick: int) -> str:
        photos = sorted({photo for photo, _ in self.guest})
        return photos[pick % len(photos)]

    def slots_of(self, photo: str) -> list[Slot]:
        return sorted(slot for slot in self.guest if slot[0] == photo)


def test_nobody_loses_a_name_and_nothing_said_is_undone(project: Project) -> None:
    run_state_machine_as_test(
        lambda: Life(project),  # type: ignore[arg-type]
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],  # to shrink a life takes longer than to read it
            suppress_health_check=list(HealthCheck),
        ),
    )
    # what the machine alone moved, of the faces that were somebody's: shown by pytest -s
    print(f"churn: {CHURN['moved']} of {CHURN['settled']} faces in {CHURN['runs']} runs;")  # noqa: T201
    print(f"{CHURN['undone']} changes taken back, {CHURN['questions']} questions answered")  # noqa: T201
