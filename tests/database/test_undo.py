"""Whatever a user changed can be taken back, and then all is as it was."""

import json
import os
import random
from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from local.processes.postgres import Postgres
from memoria.errors import StoreUnavailable
from tests.database.project import Project
from tests.database.test_people import Party

EVENTS = count()
picks = st.integers(0, 10**6)


@pytest.fixture(scope="module")
def project(postgres_server: Postgres) -> Iterator[Project]:
    with Project(postgres_server.create_database("undo", template="migrated")) as project:
        yield project
    postgres_server.drop_database("undo")


@pytest.fixture
def party(project: Project) -> "Host":
    return Host(project)


class Host(Party):
    """Ann, Bob and Eve with five photos each, grouped; somebody was seen once."""

    def __init__(self, project: Project) -> None:
        super().__init__(project, f"undo {next(EVENTS)}")
        self.faces = {who: self.shows(who, 5) for who in ("Ann", "Bob", "Eve")}
        self.stranger = self.shows("somebody", 1)[0]
        self.cluster()
        self.ann, self.bob, self.eve = (self.person(self.faces[who]) for who in self.faces)

    def does(self, function: str, **arguments: Any) -> int:
        """A correction: its change."""
        answer = self.project.call(function, **arguments)
        change: int = answer["change_id"]
        assert change is not None, function
        return change

    def undo(self, change: int) -> int:
        answer = self.project.call("undo", change_id=change)
        assert answer["undone"] == change
        undoing: int = answer["change_id"]
        return undoing

    def undone(self, change: int) -> bool:
        """Whether it could be taken back; if not, later changes rest on it."""
        try:
            self.undo(change)
        except StoreUnavailable as refused:
            if "rest on this one" not in str(refused.__cause__):
                raise
            return False
        return True

    def seen(self, covers: bool = True) -> dict[str, Any]:
        """Everything that users see and said, apart from counts and labels, which follow."""
        listed = self.project.call("people", event_id=self.event, with_hidden=True, limit=500)
        shown = ("person_id", "name", "hidden") + (("representative_face_id",) if covers else ())
        said = self.project.rows(
            "select kind, face_id::text, coalesce(merged_into, persons.id)::text as root"
            " from memoria.corrections left join memoria.persons on persons.id = person_id"
            " where corrections.event_id = %s and withdrawn_by is null",
            self.event,
        )
        apart = self.project.rows(
            "select one_id::text, other_id::text from memoria.distinct_people where event_id = %s",
            self.event,
        )
        photos = self.project.call("media", event_id=self.event, limit=500)["media"]
        return {
            "people": sorted(json.dumps([p[key] for key in shown]) for p in listed["people"]),
            "said": sorted(map(str, (tuple(row.values()) for row in said))),
            "apart": sorted(tuple(row.values()) for row in apart),
            "faces": sorted(
                (face["face_id"], face["person_id"]) for photo in photos for face in photo["faces"]
            ),
        }

    # one correction of each kind, about whoever the numbers pick

    def correct(self, kind: str, pick: int, other: int) -> int | None:
        people = [
            UUID(p["person_id"])
            for p in self.project.call("people", event_id=self.event, with_hidden=True)["people"]
        ]
        faces = sorted(self.photo)
        one, two = people[pick % len(people)], people[other % len(people)]
        face = faces[pick % len(faces)]
        owner = self.project.person_of(self.event)[face]
        theirs = [f for f, who in self.project.person_of(self.event).items() if who == one]
        deeds: dict[str, dict[str, Any]] = {
            "rename_person": {"person_id": one, "name": ("Ann", "Kim", "")[other % 3]},
            "hide_person": {"person_id": one, "hidden": bool(other % 2)},
            "assign_face": {"face_id": face, "person_id": two if other % 3 else None},
            "reject_face": {"face_id": face, "person_id": owner or two},
            "reject_faces": {"person_id": one, "face_ids": faces[pick % 7 : pick % 7 + 3]},
            "merge_people": {"into": one, "from": [two]},
            "split_person": {"person_id": one, "face_ids": theirs[: 1 + other % 3]},
            "set_cover": {
                "person_id": one,
                "face_id": (theirs or [face])[other % (len(theirs) or 1)],
            },
            "tell_apart": {"a": one, "b": two},
            "dismiss_face": {"face_id": face},
        }
        if kind in ("split_person", "set_cover") and not theirs:
            return None
        if kind == "tell_apart" and one == two:
            return None
        change: int | None = self.project.call(kind, **deeds[kind])["change_id"]
        return change


KINDS = (
    "rename_person", "hide_person", "assign_face", "reject_face", "reject_faces", "merge_people",
    "split_person", "set_cover", "tell_apart", "dismiss_face",
)  # fmt: skip
DEEDS = st.lists(st.tuples(st.sampled_from(KINDS), picks, picks), min_size=3, max_size=8)
SLOWLY = settings(
    max_examples=int(os.environ.get("UNDO_EXAMPLES", "6")),
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@SLOWLY
@given(deeds=DEEDS)
def test_taken_back_one_by_one_all_is_as_it_was_at_every_step(
    project: Project, deeds: list[tuple[str, int, int]]
) -> None:
    party, stack = Host(project), []
    for deed in deeds:
        before = party.seen()
        if (change := party.correct(*deed)) is not None:
            assert party.seen() != before or deed[0] == "set_cover"
            stack.append((change, before))
    undone = []
    for change, before in reversed(stack):
        after = party.seen()
        undone.append((party.undo(change), after))
        assert party.seen() == before
    for undoing, after in reversed(undone):  # an undo is a change like any other
        party.undo(undoing)
        assert party.seen() == after


@SLOWLY
@given(deeds=DEEDS, seed=picks, runs=st.lists(picks, max_size=3))
def test_taken_back_in_any_order_that_is_allowed_with_runs_in_between(
    project: Project, deeds: list[tuple[str, int, int]], seed: int, runs: list[int]
) -> None:
    party, order = Host(project), random.Random(seed)
    changes: list[int] = []
    party.cluster()
    before = party.seen()
    for number, deed in enumerate(deeds):
        if (change := party.correct(*deed)) is not None:
            changes.append(change)
        if number in {run % len(deeds) for run in runs}:
            party.cluster()
    while changes:
        order.shuffle(changes)
        left = []
        for change in changes:
            if not party.undone(change):
                left.append(change)
            if order.random() < 0.2:
                party.cluster()
        assert len(left) < len(changes), "changes that rest on each other in a circle"
        changes = left
    party.cluster()
    assert party.seen() == before


@pytest.mark.parametrize("undone", ["before the run", "while it is under way", "after it"])
def test_a_merge_taken_back_leaves_everybody_the_photos_that_came_meanwhile(
    project: Project, undone: str
) -> None:
    """Before, Bob's new photos stayed with Ann's name, and Ann became somebody new."""
    party = Host(project)
    party.does("rename_person", person_id=party.ann, name="Ann")
    merge = party.does("merge_people", into=party.ann, **{"from": [party.bob]})
    bobs = party.faces["Bob"] + party.shows("Bob", 20)
    if undone == "before the run":
        party.undo(merge)
    claim, result = project.claim_run(party.event), project.group(party.event)
    if undone == "while it is under way":
        party.undo(merge)
    assert project.save(claim, result)["outcome"] == "stored"
    if undone == "after it":
        party.undo(merge)
    for _ in range(2):
        assert party.people(party.faces["Ann"]) == {party.ann}
        assert party.people(bobs) == {party.bob}
        party.cluster()
    assert party.listed("Ann") == {"hidden": False, "face_count": 5}


def test_replaced_photos_of_merged_people_go_with_each_of_them(project: Project) -> None:
    """Before, whoever was found again by likeness was the one merged into."""
    party = Host(project)
    merge = party.does("merge_people", into=party.ann, **{"from": [party.bob]})
    edited = {
        who: [party.replace(face, who) for face in party.faces[who]] for who in ("Ann", "Bob")
    }
    party.cluster()
    assert party.person([*edited["Ann"], *edited["Bob"]]) == party.ann
    party.undo(merge)
    assert party.person(edited["Ann"]) == party.ann
    assert party.person(edited["Bob"]) == party.bob


def test_a_split_taken_back_gives_nobody_a_face_that_is_not_theirs(project: Project) -> None:
    """A run gave it to the person who was split off: that it is not Ann's was said before."""
    party = Host(project)
    face = party.shows("Ann", 1)[0]
    party.cluster()
    party.does("reject_face", face_id=face, person_id=party.ann)
    split = party.does("split_person", person_id=party.ann, face_ids=party.faces["Ann"][:3])
    party.cluster()
    apart = party.person(party.faces["Ann"][:3])
    assert party.person([face]) == apart != party.ann
    party.undo(split)
    assert party.people(party.faces["Ann"]) == {party.ann}
    assert party.people([face]) == {None}


@pytest.mark.parametrize("to", ["Ann", "somebody new"])
def test_whose_a_face_is_no_more_a_run_under_way_does_not_bring_back(
    project: Project, party: Host, to: str
) -> None:
    whose = {"person_id": party.ann} if to == "Ann" else {}
    change = party.does("assign_face", face_id=party.stranger, **whose)
    claim, result = project.claim_run(party.event), project.group(party.event)
    before = len(project.call("people", event_id=party.event)["people"])
    party.undo(change)
    assert project.save(claim, result)["outcome"] == "stored"
    assert project.person_of(party.event)[party.stranger] is None
    people = project.call("people", event_id=party.event)["people"]
    assert len(people) == before - (to == "somebody new")


def test_faces_that_a_run_gave_to_a_person_who_is_taken_back_are_asked_about(party: Host) -> None:
    made = party.does("assign_face", face_id=str(party.stranger))
    more = party.shows("somebody", 4)
    party.cluster()
    assert party.people(more) == party.people([party.stranger]) != {None}
    party.undo(made)
    assert party.people(more) == {None}
    assert party.project.call("event_status", event_id=party.event)["done"] is False
    party.cluster()
    assert party.people(more) != {None}
