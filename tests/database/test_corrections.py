"""Corrections one by one: what they answer, what history tells, and whom they may not touch."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from postgrest.exceptions import APIError

from local.processes.postgres import Postgres
from memoria.errors import InvalidRequest, StoreUnavailable
from tests.database.project import Project
from tests.database.test_undo import Host


@pytest.fixture(scope="module")
def project(postgres_server: Postgres) -> Iterator[Project]:
    with Project(postgres_server.create_database("corrections", template="migrated")) as project:
        yield project
    postgres_server.drop_database("corrections")


@pytest.fixture
def party(project: Project) -> Host:
    return Host(project)


def refusal(project: Project, function: str, **arguments: Any) -> APIError:
    with pytest.raises(StoreUnavailable) as told:
        project.call(function, **arguments)
    cause = told.value.__cause__
    assert isinstance(cause, APIError)
    return cause


def history(party: Host, **arguments: Any) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = party.project.call(
        "history", event_id=party.event, **arguments
    )["changes"]
    return changes


def cover(party: Host, person: UUID) -> str:
    people = party.project.call("people", event_id=party.event)["people"]
    (shown,) = (p["cover"]["face_id"] for p in people if p["person_id"] == str(person))
    return str(shown)


def test_history_tells_who_did_what_to_whom_and_when(party: Host) -> None:
    owner = UUID(int=1)
    party.project.sql.execute(
        "update memoria.events set owner_id = %s where id = %s", [owner, party.event]
    )
    user = party.project.user(owner)
    names = {"p_person_id": str(party.ann), "p_name": "Ann"}
    first = user.rpc("memoria_rename_person", names).execute().data["change_id"]
    second = party.does("rename_person", person_id=party.ann, name="Anna")
    face = party.faces["Bob"][0]
    third = party.does("assign_face", face_id=face, person_id=party.ann)
    latest = history(party, limit=3)
    assert [change["change_id"] for change in latest] == [third, second, first]
    assigned, again, named = latest
    assert (named["kind"], named["by"], named["name"], named["name_before"]) == (
        "renamed", str(owner), "Ann", None,
    )  # fmt: skip
    assert (again["by"], again["name_before"], again["can_undo"]) == (None, "Ann", True)
    assert (assigned["person_id"], assigned["other_person_id"], assigned["face_ids"]) == (
        str(party.ann), str(party.bob), [str(face)],
    )  # fmt: skip
    undoing = party.undo(third)
    undone = history(party, limit=2)
    assert [(c["kind"], c["undoes"], c["undone_by"]) for c in undone] == [
        ("undone", third, None), ("assigned", None, undoing),
    ]  # fmt: skip


def test_a_persons_history_is_told_in_pages_also_by_an_old_id(party: Host) -> None:
    for name in ("a", "b", "c", "d", "e"):
        party.does("rename_person", person_id=party.bob, name=name)
    party.does("hide_person", person_id=party.eve, hidden=True)
    party.does("merge_people", into=party.ann, **{"from": [party.bob]})
    found, after = [], None
    while True:
        page = party.project.call(
            "history", event_id=party.event, person_id=party.bob, after=after, limit=2
        )
        found += [change["kind"] for change in page["changes"]]
        assert page["is_now"] == str(party.ann)
        if (after := page["next"]) is None:
            break
    assert found[:6] == ["merged"] + ["renamed"] * 5
    assert "hidden" not in found


def test_what_changes_nothing_leaves_no_trace(party: Host) -> None:
    party.does("rename_person", person_id=party.ann, name="Ann")
    before = history(party)
    face = party.faces["Ann"][0]
    same: dict[str, dict[str, Any]] = {
        "rename_person": {"person_id": party.ann, "name": " Ann "},
        "hide_person": {"person_id": party.ann, "hidden": False},
        "merge_people": {"into": party.ann, "from": [party.ann]},
    }
    for function, arguments in same.items():
        assert party.project.call(function, **arguments)["change_id"] is None
    assert history(party) == before
    twice: dict[str, dict[str, Any]] = {
        "assign_face": {"face_id": face, "person_id": party.bob},
        "reject_face": {"face_id": face, "person_id": party.eve},
        "set_cover": {"person_id": party.ann, "face_id": party.faces["Ann"][1]},
        "tell_apart": {"a": party.ann, "b": party.bob},
        "dismiss_face": {"face_id": party.stranger},
    }
    for function, arguments in twice.items():
        assert party.project.call(function, **arguments)["change_id"] is not None
        assert party.project.call(function, **arguments)["change_id"] is None, function


def test_an_old_id_stays_good_and_changes_nobody_else(party: Host) -> None:
    party.does("rename_person", person_id=party.ann, name="Ann")
    party.does("merge_people", into=party.ann, **{"from": [party.bob]})
    for function, more in (
        ("rename_person", {"name": "Bob"}),
        ("hide_person", {"hidden": True}),
        ("set_cover", {"face_id": party.faces["Ann"][0]}),
        ("forget_person", {}),
    ):
        told = refusal(party.project, function, person_id=party.bob, **more)
        assert told.code == "PT409"
        assert f"merged into Ann ({party.ann})" in str(told.message)
        assert json.loads(str(told.details)) == {"is_now": str(party.ann), "name": "Ann"}
    face = party.faces["Eve"][0]
    answer = party.project.call("assign_face", face_id=face, person_id=party.bob)
    assert (answer["person_id"], answer["is_now"]) == (str(party.ann), str(party.ann))


def test_a_merge_taken_back_gives_everybody_back(party: Host) -> None:
    """The kids that were merged by mistake, and named and sorted since."""
    party.does("rename_person", person_id=party.ann, name="Ann")
    merge = party.does("merge_people", into=party.ann, **{"from": [party.bob, party.eve]})
    assert party.person([face for faces in party.faces.values() for face in faces]) == party.ann
    more = party.shows("Bob", 3)
    party.cluster()
    party.undo(merge)
    party.cluster()
    assert party.person(party.faces["Bob"] + more) == party.bob
    assert party.person(party.faces["Eve"]) == party.eve
    assert party.person(party.faces["Ann"]) == party.ann
    assert party.listed("Ann")["face_count"] == 5


def test_what_rests_on_a_change_is_named(party: Host) -> None:
    merge = party.does("merge_people", into=party.ann, **{"from": [party.bob]})
    face = party.faces["Bob"][0]
    reject = party.does("reject_face", face_id=face, person_id=party.ann)
    told = refusal(party.project, "undo", change_id=merge)
    assert told.code == "PT409"
    assert json.loads(str(told.details))["rest_on_it"] == [
        {"change_id": reject, "kind": "rejected"}
    ]
    party.undo(reject)
    assert party.undo(merge) == party.undo(merge)  # twice is the same as once


def test_what_is_gone_or_old_or_not_a_users_is_not_taken_back(party: Host) -> None:
    reject = party.does("reject_face", face_id=party.stranger, person_id=party.ann)
    hide = party.does("hide_person", person_id=party.ann, hidden=True)
    party.delete(party.stranger)
    assert "The photo is gone" in str(refusal(party.project, "undo", change_id=reject).message)
    party.project.sql.execute(
        "update memoria.changes set created_at = now() - interval '91 days' where id = %s", [hide]
    )
    assert "for 90 days" in str(refusal(party.project, "undo", change_id=hide).message)
    party.project.call("sweep")
    (old,) = (c for c in history(party) if c["change_id"] == hide)
    assert (old["kind"], old["can_undo"]) == ("hidden", False)
    run = next(c for c in history(party) if c["job_id"])
    told = refusal(party.project, "undo", change_id=run["change_id"])
    assert "A run did this" in str(told.message)
    assert refusal(party.project, "undo", change_id=10**12).code == "PT404"


def test_the_forgotten_cannot_be_brought_back(party: Host) -> None:
    party.does("rename_person", person_id=party.ann, name="Ann")
    merge = party.does("merge_people", into=party.ann, **{"from": [party.bob]})
    undoing = party.undo(merge)
    moved = party.does("assign_face", face_id=party.faces["Eve"][0], person_id=party.ann)
    rejected = party.does("reject_face", face_id=party.faces["Ann"][0], person_id=party.eve)
    party.project.call("forget_person", person_id=party.ann)
    for change in (merge, undoing, moved, rejected):
        assert refusal(party.project, "undo", change_id=change).code == "PT404"
    told = json.dumps(history(party))
    assert "Ann" not in told
    assert str(party.ann) not in told
    assert history(party)[0]["kind"] == "forgotten"
    gone = {"person_id", "other_person_id", "name", "by"}
    assert all(history(party)[0][key] is None for key in gone)
    rows = party.project.rows("select * from memoria.corrections where event_id = %s", party.event)
    assert str(party.ann) not in str(rows)


def test_a_chosen_cover_stays_through_runs_and_merges(party: Host) -> None:
    chosen = min(party.faces["Ann"], key=lambda face: str(face) == cover(party, party.ann))
    party.does("set_cover", person_id=party.ann, face_id=chosen)
    party.does("set_cover", person_id=party.bob, face_id=party.faces["Bob"][2])
    party.cluster()
    assert cover(party, party.ann) == str(chosen)
    merge = party.does("merge_people", into=party.ann, **{"from": [party.bob]})
    party.cluster()
    assert cover(party, party.ann) == str(chosen)
    party.undo(merge)
    assert cover(party, party.bob) == str(party.faces["Bob"][2])
    other = party.faces["Eve"][0]
    told = refusal(party.project, "set_cover", person_id=party.ann, face_id=other)
    assert told.code == "PT409"


def test_no_face_is_seen_by_nobody_and_grouped_with_nobody(party: Host) -> None:
    face = party.faces["Ann"][0]
    photo = party.photo[face]
    change = party.does("dismiss_face", face_id=face)
    party.cluster()
    assert party.project.person_of(party.event)[face] is None
    assert party.project.call("photo", media_id=photo)["faces"] == []
    unassigned = party.project.call("unassigned_faces", event_id=party.event)["faces"]
    assert str(face) not in {row["face_id"] for row in unassigned}
    for model in ("small", "large"):
        assert party.upload(photo, "Ann", model=model) == face
        party.cluster()
        assert party.project.call("photo", media_id=photo)["faces"] == []
    party.undo(change)
    assert party.person([face]) == party.ann


def test_told_apart_binds_every_later_run(party: Host) -> None:
    party.does("tell_apart", a=party.ann, b=party.bob)
    for epsilon in (0.4, 1.5, 2.0):
        party.project.cluster(party.event, epsilon=epsilon, min_cluster_size=2)
        assert party.person(party.faces["Ann"]) == party.ann
        assert party.person(party.faces["Bob"]) == party.bob


def test_several_faces_are_rejected_at_once_and_taken_back_at_once(party: Host) -> None:
    faces = party.faces["Ann"][:3]
    change = party.does("reject_faces", person_id=party.ann, face_ids=faces)
    assert party.people(faces) == {None}
    assert history(party, limit=1)[0]["faces"] == 3
    party.undo(change)
    assert party.person(party.faces["Ann"]) == party.ann
    unknown = refusal(
        party.project, "reject_faces", person_id=party.ann, face_ids=[*faces, uuid4()]
    )
    assert unknown.code == "PT404"


def test_a_change_of_another_event_is_as_unknown_as_none(party: Host) -> None:
    change = party.does("hide_person", person_id=party.ann, hidden=True)
    stranger = party.project.user(UUID(int=9))
    told = set()
    for asked in (change, 10**12):
        with pytest.raises(APIError) as refused:
            stranger.rpc("memoria_undo", {"p_change_id": asked}).execute()
        told.add((refused.value.code, refused.value.message))
    assert told == {("PT404", "There is no such change.")}


def test_a_split_names_a_thousand_faces_at_most(party: Host) -> None:
    for wrong in ([], [UUID(int=n) for n in range(1001)]):
        with pytest.raises(InvalidRequest) as refused:
            party.project.call("split_person", person_id=party.ann, face_ids=wrong)
        assert "names 1 to 1000 faces" in str(refused.value.__cause__)
