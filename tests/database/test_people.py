"""People over several runs and corrections, on the real database."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from postgrest.exceptions import APIError

from local.processes.postgres import Postgres
from memoria.arrays import F32
from memoria.errors import StoreUnavailable
from memoria.people.types import PeopleResult
from tests.database.project import Project, likeness

BOX = (0.1, 0.1, 0.2, 0.2)
ELSEWHERE = (0.6, 0.6, 0.2, 0.2)


@pytest.fixture(scope="module")
def project(postgres_server: Postgres) -> Iterator[Project]:
    """One database for the module: every test has an event of its own."""
    with Project(postgres_server.create_database("people", template="migrated")) as project:
        yield project
    postgres_server.drop_database("people")


class Party:
    """An event with as many photos of each person as asked for, one face each."""

    def __init__(self, project: Project, event: str) -> None:
        self.project, self.event = project, event
        self.rng = np.random.default_rng(7)
        self.photo: dict[UUID, str] = {}
        self.centres: dict[str, F32] = {}

    def shows(self, who: str, times: int) -> list[UUID]:
        """More photos of somebody: the ids of the faces."""
        return [self.upload(f"{self.event} {len(self.photo)}", who) for _ in range(times)]

    def upload(self, photo: str, who: str, **options: Any) -> UUID:
        found = self.project.process(self.event, photo, [(BOX, self.look(who))], **options)
        assert found[0] is not None
        self.photo[found[0]] = photo
        return found[0]

    def replace(self, face: UUID, who: str) -> UUID:
        """Another file takes the photo's place; nothing in it lies where the old face was."""
        (found,) = self.project.process(self.event, self.photo[face], [(ELSEWHERE, self.look(who))])
        assert found not in (None, face)
        return found

    def delete(self, face: UUID) -> None:
        self.project.call("delete_media", media_id=self.photo[face])

    def cluster(self) -> PeopleResult:
        return self.project.cluster(self.event)

    def look(self, who: str) -> F32:
        if who not in self.centres:
            centre = self.rng.standard_normal(512)
            self.centres[who] = (centre / np.linalg.norm(centre)).astype(np.float32)
        return likeness(self.centres[who], 0.9, self.rng)

    def listed(self, name: str) -> dict[str, Any]:
        people = self.project.call("people", event_id=self.event, with_hidden=True)["people"]
        (person,) = (row for row in people if row["name"] == name)
        return {key: person[key] for key in ("hidden", "face_count")}

    def people(self, faces: list[UUID]) -> set[UUID | None]:
        person_of = self.project.person_of(self.event)
        return {person_of[face] for face in faces}

    def person(self, faces: list[UUID]) -> UUID:
        (person,) = self.people(faces)
        assert person is not None
        return person


@pytest.fixture
def party(project: Project, request: pytest.FixtureRequest) -> Party:
    """Two guests are there in every test, so that no test is about an event of one person."""
    party = Party(project, request.node.name)
    party.shows("Zoe", 9)
    party.shows("Max", 9)
    return party


def test_groups_become_people_largest_first(project: Project, party: Party) -> None:
    ann, bob = party.shows("Ann", 4), party.shows("Bob", 6)
    stranger = party.shows("stranger", 1)
    claim = project.claim_run(party.event)
    answer = project.save(claim, project.group(party.event))
    assert answer["outcome"] == "stored"
    assert (answer["total_faces"], answer["clusters_created"], answer["noise_faces"]) == (29, 4, 1)
    labels = [(c["cluster_label"], c["face_count"]) for c in answer["clusters"]]
    assert labels == [(0, 9), (1, 9), (2, 6), (3, 4)]
    assert answer["clusters"][2]["person_id"] == str(party.person(bob))
    assert UUID(answer["clusters"][3]["representative_face_id"]) in ann
    assert answer["clusters"][0]["avg_quality"] == pytest.approx(0.8, abs=1e-3)
    assert party.people(stranger) == {None}


def test_the_same_faces_give_the_same_people_again(project: Project, party: Party) -> None:
    party.shows("Ann", 4)
    party.shows("Bob", 5)
    first = party.cluster()
    before = project.person_of(party.event)
    second = party.cluster()
    assert project.person_of(party.event) == before
    assert second.moved == 0
    assert {change.kind for change in first.changes} == {"new"}
    assert {change.kind for change in second.changes} == {"kept"}


def test_a_run_that_changes_nothing_writes_no_face(project: Project, party: Party) -> None:
    """Before, it wrote every face that was nobody's already."""
    stranger = party.shows("stranger", 1)
    party.cluster()
    assert party.people(stranger) == {None}
    versions = "select id, xmin::text from memoria.faces where event_id = %s order by id"
    before = project.rows(versions, party.event)
    party.cluster()
    assert project.rows(versions, party.event) == before


@pytest.fixture
def written(project: Project) -> Iterator[str]:
    """The query for the faces that were written, once for each time, in this test."""
    project.sql.execute("""
        create table public.written (face uuid);
        create function public.note_written() returns trigger language plpgsql as
          'begin insert into public.written values (new.id); return null; end';
        create trigger written after update on memoria.faces
          for each row execute function public.note_written()
    """)
    yield "select count(*) as times, count(distinct face) as faces from public.written"
    project.sql.execute("drop function public.note_written cascade; drop table public.written")


def test_a_run_writes_each_face_once(project: Project, party: Party, written: str) -> None:
    """Whose it is and whom users see go together: a row that is written anew enters six indexes."""
    party.cluster()
    assert project.rows(written) == [{"times": 18, "faces": 18}]


def test_a_name_stays_while_photos_come_and_go(project: Project, party: Party) -> None:
    ann = party.shows("Ann", 4)
    party.cluster()
    person = party.person(ann)
    project.call("rename_person", person_id=person, name="Ann")
    more = party.shows("Ann", 5)
    party.cluster()
    assert party.person(ann + more) == person
    for face in ann[:3]:
        party.delete(face)
    party.cluster()
    assert party.person([*ann[3:], *more]) == person
    assert party.listed("Ann") == {"hidden": False, "face_count": 6}


def test_replaced_photos_find_their_person_again(project: Project, party: Party) -> None:
    ann = party.shows("Ann", 4)
    party.cluster()
    person = party.person(ann)
    project.call("rename_person", person_id=person, name="Ann")
    edited, others = [party.replace(face, "Ann") for face in ann], party.shows("Bob", 3)
    result = party.cluster()
    assert party.person(edited) == person
    assert party.person(others) != person
    assert {change.kind for change in result.changes} == {"kept", "returned", "new"}


def test_an_assigned_face_never_leaves_and_never_goes_back(project: Project, party: Party) -> None:
    ann, bob = party.shows("Ann", 4), party.shows("Bob", 4)
    party.cluster()
    right, wrong = party.person(ann), party.person(bob)
    project.call("assign_face", face_id=bob[0], person_id=right)
    assert party.person([bob[0]]) == right
    party.shows("Bob", 4)
    party.cluster()
    assert party.person([*ann, bob[0]]) == right
    assert party.person(bob[1:]) == wrong


def test_a_rejected_face_never_returns(project: Project, party: Party) -> None:
    ann = party.shows("Ann", 5)
    party.cluster()
    person = party.person(ann)
    answer = project.call("reject_face", face_id=ann[0], person_id=person)
    assert answer == {"face_id": str(ann[0]), "person_id": None, "change_id": answer["change_id"]}
    party.cluster()
    assert party.people(ann[:1]) == {None}
    assert party.person(ann[1:]) == person


def test_several_faces_rejected_together_become_somebody_else(
    project: Project, party: Party
) -> None:
    ann = party.shows("Ann", 8)
    party.cluster()
    person = party.person(ann)
    for face in ann[:3]:
        project.call("reject_face", face_id=face, person_id=person)
    party.cluster()
    other = party.person(ann[:3])
    assert other != person
    party.cluster()
    assert party.person(ann[:3]) == other
    assert party.person(ann[3:]) == person


def test_people_whom_a_user_united_stay_one(project: Project, party: Party) -> None:
    young, old = party.shows("young", 4), party.shows("old", 5)
    party.cluster()
    into = party.person(young)
    project.call("rename_person", person_id=party.person(old), name="Ann")
    project.call("merge_people", into=into, **{"from": [party.person(old)]})
    assert party.person(young + old) == into
    more = party.shows("young", 3) + party.shows("old", 3)
    party.cluster()
    assert party.person(young + old + more) == into
    assert party.listed("Ann") == {"hidden": False, "face_count": 15}


def test_people_whom_a_user_split_stay_two(project: Project, party: Party) -> None:
    both = party.shows("twins", 8)
    party.cluster()
    person = party.person(both)
    split = project.call("split_person", person_id=person, face_ids=both[:3])
    party.shows("twins", 2)
    party.cluster()
    assert party.person(both[:3]) == UUID(split["person_id"])
    assert party.person(both[3:]) == person


def test_hidden_people_stay_hidden(project: Project, party: Party) -> None:
    waiter = party.shows("waiter", 4)
    party.cluster()
    person = party.person(waiter)
    project.call("hide_person", person_id=person, hidden=True)
    waiter += party.shows("waiter", 4)
    party.cluster()
    assert party.person(waiter) == person
    project.call("rename_person", person_id=person, name="waiter")
    assert party.listed("waiter") == {"hidden": True, "face_count": 8}


def test_corrections_bind_over_a_change_of_model(project: Project, party: Party) -> None:
    ann, bob = party.shows("Ann", 8), party.shows("Bob", 8)
    party.cluster()
    right = party.person(ann)
    project.call("rename_person", person_id=right, name="Ann")
    project.call("assign_face", face_id=bob[0], person_id=right)
    # half of the photos are looked at by the new model first
    for half in (slice(None, None, 2), slice(1, None, 2)):
        for who, faces in (("Ann anew", ann[half]), ("Bob anew", bob[half])):
            for face in faces:
                assert party.upload(party.photo[face], who, model="new") == face
        party.cluster()
        assert party.person([*ann, bob[0]]) == right
    assert party.person(bob[1:]) != right


def test_small_people_without_a_name_stay_over_a_change_of_model(
    project: Project, party: Party
) -> None:
    """Before, two faces by each model were too few for a group of either, and the person went."""
    small = {who: party.shows(who, 4) for who in ("Ann", "Bob", "Eve")}
    party.cluster()
    before = {who: party.person(faces) for who, faces in small.items()}
    for half in (slice(2), slice(2, 4)):
        for who, faces in small.items():
            for face in faces[half]:
                assert party.upload(party.photo[face], f"{who} anew", model="new") == face
        party.cluster()
        assert {who: party.person(faces) for who, faces in small.items()} == before


def test_what_happens_during_a_run_wins(project: Project, party: Party) -> None:
    ann, bob, eve = party.shows("Ann", 5), party.shows("Bob", 5), party.shows("Eve", 5)
    party.cluster()
    person, other, third = party.person(ann), party.person(bob), party.person(eve)
    claim = project.claim_run(party.event)
    result = project.group(party.event)
    project.call("assign_face", face_id=bob[0], person_id=person)
    project.call("reject_face", face_id=ann[0], person_id=person)
    project.call("merge_people", into=person, **{"from": [other]})
    project.call("rename_person", person_id=person, name="Ann")
    project.call("forget_person", person_id=third)
    party.delete(ann[1])
    answer = project.save(claim, result)
    assert (answer["total_faces"], answer["noise_faces"]) == (27, 1)
    assert party.people([ann[0]]) == {None}
    assert party.person(ann[2:] + bob) == person
    assert party.listed("Ann") == {"hidden": False, "face_count": 8}
    assert not project.rows("select from memoria.persons where id = %s", third)


def test_faces_that_come_during_a_run_wait_for_the_next(project: Project, party: Party) -> None:
    party.shows("Ann", 3)
    claim = project.claim_run(party.event)
    result = project.group(party.event)
    late = party.shows("Ann", 1)
    assert project.save(claim, result)["noise_faces"] == 1
    assert party.people(late) == {None}
    party.cluster()
    assert party.person(late)


def test_forgetting_leaves_a_tombstone_and_nothing_else(project: Project, party: Party) -> None:
    ann, bob = party.shows("Ann", 4), party.shows("Bob", 4)
    party.cluster()
    person = party.person(ann)
    project.call("rename_person", person_id=person, name="Ann")
    other = party.person(bob)
    project.call("merge_people", into=person, **{"from": [other]})
    project.call("reject_face", face_id=ann[0], person_id=person)
    project.call("assign_face", face_id=ann[0], person_id=person)
    answer = project.call("forget_person", person_id=person)
    assert answer["faces_forgotten"] == 8
    assert not project.rows("select from memoria.faces where id = any(%s)", ann + bob)
    for table in ("faces", "corrections", "changes", "change_people"):
        query = f"select from memoria.{table} where person_id = any(%s)"
        assert not project.rows(query, [person, other]), table
    assert not project.rows("select from memoria.persons where id in (%s, %s)", person, other)
    columns = project.rows("select * from memoria.forgotten_faces")[0].keys()
    assert set(columns) == {"id", "event_id", "picture", "x", "y", "w", "h", "created_at"}
    again = project.process(party.event, party.photo[ann[0]], [(BOX, party.look("Ann"))])
    assert again == [None]


def test_the_id_of_who_was_forgotten_is_nobodys_ever_after(project: Project, party: Party) -> None:
    """Also where a run makes somebody new of the face that the id was made of."""
    ann = sorted(party.shows("Ann", 6))
    party.cluster()
    person = party.person(ann)
    for face in ann[:3]:
        project.call("reject_face", face_id=face, person_id=person)
    project.call("forget_person", person_id=person)
    party.cluster()
    assert party.person(ann[:3]) != person


def test_a_lost_lease_writes_nothing(project: Project, party: Party) -> None:
    party.shows("Ann", 3)
    claim = project.claim_run(party.event)
    result = project.group(party.event)
    project.sql.execute("update memoria.jobs set leased_until = now() where status = 'running'")
    assert project.save(claim, result) == {"outcome": "skipped", "reason": "lease_lost"}
    assert not project.rows("select from memoria.persons where event_id = %s", party.event)


def test_an_event_without_faces_has_no_people(project: Project) -> None:
    project.process("holiday", "landscape", [])
    claim = project.claim_run("holiday")
    answer = project.save(claim, project.group("holiday"))
    assert (answer["total_faces"], answer["clusters"]) == (0, [])


def test_a_stranger_cannot_tell_whether_a_person_exists(project: Project, party: Party) -> None:
    owner, stranger = UUID(int=1), UUID(int=2)
    project.sql.execute(
        "update memoria.events set owner_id = %s where id = %s", [owner, party.event]
    )
    ann = party.shows("Ann", 3)
    party.cluster()
    person = party.person(ann)
    params = {"p_person_id": str(person), "p_name": "Ann"}
    named: Any = project.user(owner).rpc("memoria_rename_person", params).execute().data
    assert dict(named, change_id=0) == {
        "person_id": str(person), "name": "Ann", "same_name": [], "change_id": 0,
    }  # fmt: skip
    for unknown in (person, UUID(int=3)):
        params = {"p_person_id": str(unknown), "p_name": "Eve"}
        call = project.user(stranger).rpc("memoria_rename_person", params)
        with pytest.raises(APIError, match="no such person"):
            call.execute()
    with pytest.raises(StoreUnavailable, match="PT404"):
        project.call("rename_person", person_id=UUID(int=3), name="Eve")


def test_a_named_person_keeps_the_faces_that_are_too_few_for_a_group(party: Party) -> None:
    ann = party.shows("Ann", 3)
    party.cluster()
    person = party.person(ann)
    party.project.call("rename_person", person_id=person, name="Ann")
    party.delete(ann[0])
    party.cluster()
    assert party.person(ann[1:]) == person


def test_two_named_people_in_one_group_both_keep_their_faces(party: Party) -> None:
    ann, bob = party.shows("Ann", 4), party.shows("Bob", 4)
    party.cluster()
    people = [party.person(ann), party.person(bob)]
    for person, name in zip(people, ("Ann", "Bob"), strict=True):
        party.project.call("rename_person", person_id=person, name=name)
    # so far apart is nobody that everybody is one group
    party.project.cluster(party.event, epsilon=2.0, min_cluster_size=9)
    assert [party.person(ann), party.person(bob)] == people


def test_a_face_that_was_missed_once_is_forgotten_with_its_person(
    project: Project, party: Party
) -> None:
    ann = party.shows("Ann", 4)
    party.cluster()
    person = party.person(ann)
    project.call("assign_face", face_id=ann[0], person_id=person)
    photo = party.photo[ann[0]]
    project.process(party.event, photo, [])
    again = party.upload(photo, "Ann")
    assert party.people([again]) == {None}  # until the next run
    assert project.call("forget_person", person_id=person)["faces_forgotten"] == 4
    assert again not in project.person_of(party.event)


def test_a_search_never_answers_with_an_id_that_is_free_again(
    project: Project, party: Party
) -> None:
    ann = party.shows("Ann", 3)
    party.cluster()
    project.rows(
        "insert into memoria.searches (event_id, guest, consent, people)"
        " values (%s, 'a guest', '1', array[%s::uuid]) returning 1",
        party.event, party.person(ann),
    )  # fmt: skip
    for face in ann:
        party.delete(face)
    party.cluster()
    found = project.rows("select people from memoria.searches where event_id = %s", party.event)
    assert [row["people"] for row in found] == [[]]
