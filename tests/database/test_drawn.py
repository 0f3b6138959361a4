"""A face that a user drew is there, whatever models find, and goes when it is taken back."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from local.processes.postgres import Postgres
from memoria.store.jobs import Claim
from tests.database.project import Project
from tests.database.test_corrections import refusal
from tests.database.test_people import BOX
from tests.database.test_undo import Host

DRAWN = {"x": 0.6, "y": 0.1, "w": 0.2, "h": 0.2}
PLACE = (0.6, 0.1, 0.2, 0.2)


@pytest.fixture(scope="module")
def project(postgres_server: Postgres) -> Iterator[Project]:
    with Project(postgres_server.create_database("drawn", template="migrated")) as project:
        yield project
    postgres_server.drop_database("drawn")


class Album(Host):
    """The photo of somebody seen once, in which Ann was not found."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.group = self.photo[self.stranger]

    def draw(self, bbox: dict[str, float] = DRAWN, **more: Any) -> tuple[UUID, Any]:
        answer = self.project.call("add_face", media_id=self.group, bbox=bbox, **more)
        return UUID(answer["face_id"]), answer["change_id"]

    def look_again(self, *, model: str = "small", read: str | None = None) -> None:
        look = self.look(read) if read else None
        found = [(BOX, self.look("somebody"))]
        self.project.process(self.event, self.group, found, model, drawn=look)

    def faces_of_group(self) -> set[UUID]:
        rows = self.project.rows("select id from memoria.faces where media_id = %s", self.group)
        return {row["id"] for row in rows}

    def row(self, face: UUID) -> dict[str, Any]:
        (row,) = self.project.rows("select * from memoria.faces where id = %s", face)
        return row


@pytest.fixture
def party(project: Project) -> Album:
    return Album(project)


def test_a_job_reads_the_box_and_a_run_finds_whose_it_is(party: Album) -> None:
    face, _ = party.draw()
    status = party.project.call("event_status", event_id=party.event)
    assert status["photos"]["pending"] == 0  # the photo stays done meanwhile
    assert status["done"] is False  # the event does not
    assert party.people([face]) == {None}
    party.look_again(read="Ann")
    party.cluster()
    assert party.person([face]) == party.ann
    assert party.project.call("event_status", event_id=party.event)["done"] is True


def test_where_nothing_can_be_read_it_is_whose_a_user_says(party: Album) -> None:
    face, _ = party.draw(person=party.ann)
    party.look_again()
    assert party.row(face)["embedding"] is None
    party.cluster()
    assert party.person([face]) == party.ann
    photos = party.project.call("person_photos", person_id=party.ann)["photos"]
    (shown,) = (
        face for photo in photos if photo["media_id"] == party.group for face in photo["faces"]
    )
    assert (shown["face_id"], shown["landmarks"], shown["pinned"]) == (str(face), None, True)


def test_it_survives_reprocessing_archiving_and_another_model(party: Album) -> None:
    face, _ = party.draw(person=party.ann)
    party.look_again(read="Ann")
    party.look_again(model="large")
    assert (party.row(face)["model"], party.row(face)["embedding"]) == ("large", None)
    party.project.call("archive_event", event_id=party.event)
    party.project.call("reopen_event", event_id=party.event)
    for other in {*party.photo.values()} - {party.group}:
        party.project.process(party.event, other, [], "large")
    party.look_again(model="large", read="Ann")
    assert party.row(face)["embedding"] is not None
    assert party.person([face]) == party.ann


def test_a_model_that_finds_the_face_finds_that_one(party: Album) -> None:
    face, change = party.draw(person=party.ann)
    party.look_again()
    both = [(BOX, party.look("somebody")), (PLACE, party.look("Ann"))]
    assert face in party.project.process(party.event, party.group, both)
    party.undo(change)  # the model found it: it stays, and is nobody's
    assert party.people([face]) == {None}
    party.look_again()
    assert face not in party.project.person_of(party.event)


def test_drawing_a_known_face_or_drawing_twice_makes_no_second(party: Album) -> None:
    on_it = {"x": 0.11, "y": 0.1, "w": 0.2, "h": 0.2}
    assert party.draw(on_it)[0] == party.stranger
    face, change = party.draw()
    assert party.draw() == (face, None)
    assert change is not None


def test_taken_back_it_is_gone_and_made_again_it_is_the_same(party: Album) -> None:
    before = party.seen()
    face, change = party.draw(person=party.bob)
    after = party.seen()
    undoing = party.undo(change)
    assert party.seen() == before
    party.look_again()
    assert party.seen() == before
    party.undo(undoing)
    assert party.seen() == after
    party.look_again(read="Bob")
    assert party.person([face]) == party.bob


def test_one_drawn_while_the_photo_is_looked_at_is_read_by_the_next_job(party: Album) -> None:
    party.draw()
    (job,) = party.project._waiting("process", party.group)
    claim = party.project.jobs.claim("process", job, party.event, party.group)
    assert isinstance(claim, Claim)
    face, _ = party.draw({"x": 0.1, "y": 0.6, "w": 0.2, "h": 0.2})
    assert str(face) not in claim.drawn
    read = [{"face_id": drawn, "embedding": None} for drawn in claim.drawn]
    result = {"model": "small", "width": 9, "height": 9, "faces": [], "drawn": read}
    party.project.call("complete_media", job_id=claim.job_id, token=claim.token, result=result)
    assert len(party.project._waiting("process", party.group)) == 1
    party.look_again()
    assert party.project._waiting("process", party.group) == []


def test_a_photo_that_cannot_be_read_again_stays_done(party: Album) -> None:
    """Before, who gave its job all attempts back made it fail: a photo that had been done."""
    face, _ = party.draw(person=party.ann)
    for _ in range(2):
        (job,) = party.project._waiting("process", party.group)
        claim = party.project.jobs.claim("process", job, party.event, party.group)
        assert isinstance(claim, Claim)
        party.project.call(
            "fail", job_id=claim.job_id, token=claim.token, code="unreadable_media",
            message="It did not work.", policy="terminal",
        )  # fmt: skip
        assert party.project.call("photo", media_id=party.group)["status"] == "completed"
        assert party.project.call("requeue", job_id=claim.job_id) == {"requeued": 1}
        assert party.project.call("photo", media_id=party.group)["status"] == "completed"
    assert party.person([face]) == party.ann


def test_a_photo_has_fifty_drawn_faces_at_most(party: Album) -> None:
    boxes = [
        {"x": 0.1 * column, "y": 0.5 + 0.1 * row, "w": 0.08, "h": 0.08}
        for row in range(5)
        for column in range(10)
    ]
    drawn = [party.draw(bbox) for bbox in boxes]
    told = refusal(party.project, "add_face", media_id=party.group, bbox=DRAWN | {"y": 0.3})
    assert (told.code, told.message) == ("PT409", "At most 50 faces may be drawn in a photo.")
    face, change = drawn[-1]
    assert party.draw(boxes[-1]) == (face, None)
    undoing = party.undo(change)
    party.draw(DRAWN | {"y": 0.3})
    assert refusal(party.project, "undo", change_id=undoing).message == told.message


def test_the_forgotten_are_not_drawn_again(party: Album) -> None:
    ann = party.faces["Ann"][0]
    party.project.call("forget_person", person_id=party.ann)
    told = refusal(
        party.project,
        "add_face",
        media_id=party.photo[ann],
        bbox=dict(zip("xywh", BOX, strict=True)),
    )
    assert (told.code, told.message) == ("PT409", "This face was forgotten.")


@pytest.mark.parametrize(
    "bbox",
    [
        {"x": 0.9, "y": 0.1, "w": 0.2, "h": 0.2},
        {"x": 0.1, "y": 0.1, "w": 0, "h": 0.2},
        {"x": 0.1, "y": 0.1, "w": 0.2},
        {"x": "a", "y": 0.1, "w": 0.2, "h": 0.2},
        [0.1, 0.1, 0.2, 0.2],
    ],
)
def test_a_box_lies_within_its_photo(party: Album, bbox: Any) -> None:
    from memoria.errors import InvalidRequest

    with pytest.raises(InvalidRequest):
        party.project.call("add_face", media_id=party.group, bbox=bbox)


def test_a_redo_brings_no_forgotten_face_back(party: Album) -> None:
    _, first = party.draw()
    taken_back = party.undo(first)
    party.draw(person=party.ann)
    party.project.call("forget_person", person_id=party.ann)
    refused = refusal(party.project, "undo", change_id=taken_back)
    assert refused.message == "This face was forgotten."
    assert party.faces_of_group() == {party.stranger}


def test_a_face_drawn_on_a_new_picture_stays_when_that_is_looked_at(party: Album) -> None:
    party.project.sql.execute(
        "update memoria.media set digest = repeat('0', 64) where id = %s", [party.group]
    )
    party.draw(person=party.ann)
    party.project.sql.execute(
        "update memoria.media set placed_at = clock_timestamp() where id = %s", [party.group]
    )
    bbox = DRAWN | {"y": 0.5}
    face, _ = party.draw(bbox, person=party.bob)
    party.project.process(party.event, party.group, [], digest=64 * "1")
    assert party.faces_of_group() == {face}
    party.cluster()
    assert party.person([face]) == party.bob


def test_a_picture_that_is_overwritten_in_its_place_keeps_no_face_that_was_drawn(
    party: Album,
) -> None:
    party.project.process(party.event, party.group, [], digest=64 * "1")
    party.draw(person=party.ann)
    # `process` looks at the object once more
    party.project.process(party.event, party.group, [], digest=64 * "2")
    assert party.faces_of_group() == set()
