"""Questions to users on a real database: asked after a run, answered in one tap, never again."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from postgrest.exceptions import APIError

from local.processes.postgres import Postgres
from memoria.people.types import PeopleResult
from tests.database.project import Project, likeness
from tests.database.test_corrections import refusal
from tests.database.test_people import Party

EVENTS = count()
Question = dict[str, Any]


@pytest.fixture(scope="module")
def project(postgres_server: Postgres) -> Iterator[Project]:
    with Project(postgres_server.create_database("questions", template="migrated")) as project:
        yield project
    postgres_server.drop_database("questions")


class Reunion(Party):
    """Ann young and old, whom a strict run leaves apart; Bob, Eve; a face that may be Eve's."""

    def __init__(self, project: Project) -> None:
        super().__init__(project, f"reunion {next(EVENTS)}")
        self.look("young Ann"), self.look("Eve")
        self.centres["old Ann"] = likeness(self.centres["young Ann"], 0.62, self.rng)
        self.centres["blurred Eve"] = likeness(self.centres["Eve"], 0.5, self.rng)
        self.young, self.old = self.shows("young Ann", 5), self.shows("old Ann", 4)
        self.bob, self.eve = self.shows("Bob", 6), self.shows("Eve", 6)
        self.blurred = self.shows("blurred Eve", 1)[0]
        self.cluster()

    def cluster(self) -> PeopleResult:
        return self.project.cluster(self.event, epsilon=0.15)

    def asked(self, **arguments: Any) -> list[Question]:
        answer = self.project.call("suggestions", event_id=self.event, **arguments)
        assert answer["total"] >= len(answer["suggestions"])
        questions: list[Question] = answer["suggestions"]
        return questions

    def question(self, kind: str) -> Question:
        (only,) = self.asked(kind=kind)
        return only

    def answer(self, question: Question, answer: str, **more: Any) -> int:
        told = self.project.call("answer_suggestion", id=question["id"], answer=answer, **more)
        assert (told["id"], told["answer"]) == (question["id"], answer)
        change: int = told["change_id"]
        return change


@pytest.fixture
def party(project: Project) -> Reunion:
    return Reunion(project)


def test_two_looks_of_one_person_are_asked_about_with_several_faces(party: Reunion) -> None:
    asked = party.question("same_person")
    assert (asked["into"]["person_id"], asked["from"]["person_id"]) == (
        str(party.person(party.young)), str(party.person(party.old)),
    )  # fmt: skip
    assert asked["likelihood"] > 0.5
    assert asked["photos_together"] == 0
    shown = asked["evidence"]
    assert len(shown) == 4
    assert {UUID(pair["face_id"]) for pair in shown} <= set(party.young)
    assert {UUID(pair["other_face_id"]) for pair in shown} <= set(party.old)
    photos = [pair[key] for pair in shown for key in ("media_id", "other_media_id")]
    assert len(set(photos)) == len(photos)
    assert [pair["similarity"] for pair in shown] == sorted(
        (pair["similarity"] for pair in shown), reverse=True
    )
    assert shown[0]["bbox"].keys() == shown[0]["other_bbox"].keys() == {"x", "y", "w", "h"}


def test_the_named_goes_first_and_keeps_its_cover(party: Reunion) -> None:
    old = party.person(party.old)
    party.project.call("rename_person", person_id=old, name="Ann")
    cover = party.project.call("set_cover", person_id=old, face_id=party.old[2])["face_id"]
    asked = party.question("same_person")
    assert asked["into"]["person_id"] == str(old)
    assert {UUID(pair["face_id"]) for pair in asked["evidence"]} <= set(party.old)
    party.answer(asked, "same")
    party.cluster()
    assert party.person(party.young + party.old) == old
    people = party.project.call("people", event_id=party.event, name="Ann")["people"]
    assert people[0]["cover"]["face_id"] == cover


def test_a_face_of_nobodys_is_asked_about_with_candidates(party: Reunion) -> None:
    asked = party.question("who_is_this")
    assert asked["face"]["face_id"] == str(party.blurred)
    eve = party.person(party.eve)
    assert asked["candidates"][0]["person_id"] == str(eve)
    party.answer(asked, "same")
    assert party.person([party.blurred]) == eve
    party.cluster()
    assert party.person([party.blurred]) == eve
    assert party.asked(kind="who_is_this") == []


@pytest.mark.parametrize("kind", ["same_person", "who_is_this"])
@pytest.mark.parametrize("answer", ["same", "different", "nobody", "not_sure"])
def test_what_was_answered_is_not_asked_again_until_it_is_taken_back(
    party: Reunion, kind: str, answer: str
) -> None:
    before = party.asked()
    asked = party.question(kind)
    change = party.answer(asked, answer)
    for _ in range(2):
        assert party.asked(kind=kind) == []
        assert party.answer(asked, answer) == change  # twice is the same as once
        party.cluster()
    party.project.call("undo", change_id=change)
    assert [q["id"] for q in party.asked()] == [q["id"] for q in before]
    party.cluster()
    assert [q["id"] for q in party.asked()] == [q["id"] for q in before]


def test_another_answer_than_the_first_is_too_late(party: Reunion) -> None:
    asked = party.question("same_person")
    party.answer(asked, "different")
    told = refusal(party.project, "answer_suggestion", id=asked["id"], answer="same")
    assert told.code == "PT404"
    assert json.loads(str(told.details)) == {"code": "suggestion_gone"}


def test_different_binds_every_later_run_and_model(party: Reunion) -> None:
    young, old = party.person(party.young), party.person(party.old)
    party.answer(party.question("same_person"), "different")
    for model, epsilon in (("small", 0.4), ("large", 0.4), ("large", 1.5)):
        for face in party.young + party.old:
            who = "young Ann" if face in party.young else "old Ann"
            assert party.upload(party.photo[face], who, model=model) == face
        party.project.cluster(party.event, epsilon=epsilon)
        assert party.person(party.young) == young
        assert party.person(party.old) == old
        assert party.asked(kind="same_person") == []


def test_who_is_not_sure_is_asked_again_after_three_more_faces(party: Reunion) -> None:
    asked = party.question("same_person")
    party.answer(asked, "not_sure")
    party.shows("old Ann", 2)
    party.cluster()
    assert party.asked(kind="same_person") == []
    party.shows("old Ann", 1)
    party.cluster()
    again = party.question("same_person")
    assert again["id"] == asked["id"]
    party.answer(again, "not_sure")
    assert party.asked(kind="same_person") == []
    party.shows("young Ann", 3)
    party.cluster()
    party.answer(party.question("same_person"), "same")


def test_nobody_keeps_the_posters_photos_to_itself(party: Reunion) -> None:
    poster = party.person(party.old)
    change = party.answer(party.question("same_person"), "nobody")
    more = party.shows("old Ann", 2)
    party.cluster()
    assert party.person(party.old + more) == poster
    shown = party.project.call("people", event_id=party.event)["people"]
    assert str(poster) not in {p["person_id"] for p in shown}
    party.project.call("undo", change_id=change)
    shown = party.project.call("people", event_id=party.event)["people"]
    assert str(poster) in {p["person_id"] for p in shown}


@pytest.mark.parametrize("said", ["hidden", "named apart", "told apart", "rejected", "forgotten"])
def test_what_a_user_says_ends_the_question(party: Reunion, said: str) -> None:
    young, old = party.person(party.young), party.person(party.old)
    call = party.project.call
    match said:
        case "hidden":
            call("hide_person", person_id=old, hidden=True)
        case "named apart":
            call("rename_person", person_id=old, name="Ann")
            call("rename_person", person_id=young, name="ann ")
            assert len(party.asked(kind="same_person")) == 1  # equal names say nothing
            call("rename_person", person_id=young, name="Zoe")
        case "told apart":
            call("tell_apart", a=old, b=young)
        case "rejected":
            call("reject_face", face_id=party.old[0], person_id=young)
        case "forgotten":
            call("forget_person", person_id=old)
    asked = call("suggestions", event_id=party.event, kind="same_person")
    assert (asked["total"], asked["suggestions"]) == (0, [])
    party.cluster()
    assert party.asked(kind="same_person") == []


def test_two_told_apart_are_denied_in_either_order(party: Reunion) -> None:
    """Also under an id that was merged away: what comes first may be last then."""
    project, pair = party.project, (party.person(party.young), party.person(party.old))
    denied = "select memoria.are_denied(%s, %s) and memoria.are_denied(%s, %s) as denied"
    project.call("tell_apart", a=pair[0], b=pair[1])
    assert project.rows(denied, *pair, *reversed(pair)) == [{"denied": True}]
    bob = party.person(party.bob)
    project.call("merge_people", into=bob, **{"from": [pair[0]]})
    assert project.rows(denied, bob, pair[1], pair[1], bob) == [{"denied": True}]


def test_a_photo_that_shows_both_halves_and_two_end_it(project: Project) -> None:
    party = Reunion(project)
    before = party.question("same_person")["likelihood"]
    box, beside = (0.1, 0.1, 0.2, 0.2), (0.6, 0.1, 0.2, 0.2)

    def together() -> None:
        both = [(box, party.look("young Ann")), (beside, party.look("old Ann"))]
        ids = project.process(party.event, f"{party.event} together {next(EVENTS)}", both)
        young = party.person(party.young), party.person(party.old)
        for face, person in zip(ids, young, strict=True):
            project.call("assign_face", face_id=face, person_id=person)

    together()
    party.cluster()
    asked = party.question("same_person")
    assert asked["photos_together"] == 1
    assert asked["likelihood"] == pytest.approx(before / 2, abs=0.05)
    together()
    party.cluster()
    assert party.asked(kind="same_person") == []


def test_a_persons_questions_and_a_limit(party: Reunion) -> None:
    assert len(party.asked()) == 2
    assert len(party.asked(limit=1)) == 1
    young, eve = party.person(party.young), party.person(party.eve)
    assert [q["kind"] for q in party.asked(person_id=young)] == ["same_person"]
    assert [q["kind"] for q in party.asked(person_id=eve)] == ["who_is_this"]
    assert party.asked(person_id=party.person(party.bob)) == []


def test_an_unknown_question_and_a_foreign_one_answer_alike(party: Reunion) -> None:
    stranger = party.project.user(UUID(int=9))
    told = set()
    for asked in (party.question("same_person")["id"], str(UUID(int=5))):
        with pytest.raises(APIError) as refused:
            stranger.rpc("memoria_answer_suggestion", {"p_id": asked, "p_answer": "same"}).execute()
        told.add((refused.value.code, refused.value.message, refused.value.details))
    assert len(told) == 1
    assert told.pop()[0] == "PT404"
