"""People and their faces: loaded for a run, saved after it. See docs/sql-surface.md."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from memoria import log
from memoria.errors import StoreUnavailable
from memoria.people.suggestions import Suggestion
from memoria.people.types import EventFaces, KnownPeople, KnownPerson, PeopleResult
from memoria.store.client import rpc
from memoria.store.jobs import Claim, Skipped, Stored, saved
from memoria.store.pages import DIMENSIONS, PageBuffer, unpack
from memoria.store.run_result import result_as_json

if TYPE_CHECKING:
    from supabase import Client

PAGE_FACES = 1000  # 2.8 MB of base64: a response is garbage for a while before Python collects it
TRIES = 3


def load_event(client: "Client", event_id: str) -> tuple[EventFaces, KnownPeople]:
    """All faces of an event and everybody known in it. Raises StoreUnavailable."""
    return load_faces(client, event_id), load_people(client, event_id)


def count_faces(client: "Client", event_id: str) -> int:
    """How many faces `load_faces` would read. Raises StoreUnavailable."""
    params = {"p_event_id": event_id, "p_after": None, "p_limit": 1}
    return int(rpc(client, "memoria_load_faces", params)["total"])


def load_faces(client: "Client", event_id: str, *, page_faces: int = PAGE_FACES) -> EventFaces:
    """The faces of an event that carry a vector, read page by page.

    Faces may come and go meanwhile: the run that they have queued sees them. Read again only where
    so many came that they do not fit. Raises StoreUnavailable where that never ends, or a page is
    damaged.
    """
    for _ in range(TRIES):
        if (faces := _read_pages(client, event_id, page_faces)) is not None:
            return faces
        log.event("faces_changed_while_loading", event_id=event_id)
    raise StoreUnavailable("the faces of the event kept changing while they were read")


def _read_pages(client: "Client", event_id: str, page_faces: int) -> EventFaces | None:
    """All pages, or None if more faces came between them than there is space for."""
    buffer: PageBuffer | None = None
    after: str | None = None
    while True:
        params = {"p_event_id": event_id, "p_after": after, "p_limit": page_faces}
        page = rpc(client, "memoria_load_faces", params)
        # space that nothing is written to takes no memory
        buffer = buffer or PageBuffer.of(page["total"] + page["total"] // 8 + page_faces)
        if buffer.filled + page["count"] > len(buffer.faces):
            return None
        try:
            buffer.add(page)
        except ValueError as exc:
            raise StoreUnavailable(f"a page of faces is damaged: {exc}") from exc
        after = page["next"]
        if after is None:
            return buffer.read()


def load_people(client: "Client", event_id: str) -> KnownPeople:
    """Everybody known in an event and what users said of them. Raises StoreUnavailable."""
    body = rpc(client, "memoria_load_people", {"p_event_id": event_id})
    return KnownPeople(
        people=tuple(_person(row) for row in body["people"]),
        pins=_said(body["pins"]),
        rejections=_said(body["rejections"]),
        covers=_said(body["covers"]),
        apart=tuple((UUID(one), UUID(other)) for one, other in body["apart"]),
        forgettings=body.get("forgettings", 0),
    )


def _person(row: dict[str, Any]) -> KnownPerson:
    packed = row["centroid"]
    return KnownPerson(
        id=UUID(row["person_id"]),
        name=row["name"],
        hidden=row["hidden"],
        nobody=row["nobody"],
        merged_into=UUID(row["merged_into"]) if row["merged_into"] else None,
        model=row["model"],
        centroid=unpack(packed, ">f4", (DIMENSIONS,)).astype("f4") if packed else None,
    )


def _said(rows: list[dict[str, str]]) -> tuple[tuple[UUID, UUID], ...]:
    return tuple((UUID(row["face_id"]), UUID(row["person_id"])) for row in rows)


def save_people(
    client: "Client",
    claim: Claim,
    people: PeopleResult,
    asked: tuple[Suggestion, ...],
    seconds: float,
) -> Stored | Skipped:
    """Write a run back: one transaction, in which what users said meanwhile wins.

    What it answers holds the clusters. Raises StoreUnavailable.
    """
    result = result_as_json(people, asked, seconds)
    params = {"p_job_id": claim.job_id, "p_token": claim.token, "p_result": result}
    return saved(rpc(client, "memoria_save_people", params))
