"""The faces of an event, the people known in it, and the people that a run finds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32, Index

Uuids = NDArray[np.uint8]

ChangeKind = Literal["new", "kept", "split", "merged", "moved", "returned", "emptied", "gone"]


@dataclass(frozen=True, slots=True, eq=False)
class EventFaces:
    """All faces of an event that carry a vector, ascending by id."""

    ids: Uuids  # (n, 16)
    photos: NDArray[np.int64]  # (n,) equal where the photo is the same
    identities: Uuids  # (n, 16) what the last run and the user's corrections said; zeros: nobody
    quality: F32  # (n,) 0..1
    models: tuple[str, ...]
    model_index: NDArray[np.uint8]  # (n,) into models: vectors of two models are never compared
    vectors: F32  # (n, 512) unit rows

    def __len__(self) -> int:
        """How many."""
        return len(self.ids)

    def rows_of(self, face_ids: Iterable[UUID]) -> Index:
        """Rows of the faces, -1 for those that are not here."""
        wanted = tuple(face_ids)
        if not wanted:
            return np.zeros(0, dtype=np.intp)
        row = {key: position for position, key in enumerate(uuid_keys(self.ids))}
        found = [row.get(face_id.bytes.rstrip(b"\0"), -1) for face_id in wanted]
        return np.array(found, dtype=np.intp)

    def of_model(self, index: int) -> tuple[Index, F32]:
        """Rows (m,) and vectors (m, 512) of one model; where it is the only one, no copy."""
        rows = np.flatnonzero(self.model_index == index)
        return rows, self.vectors if len(rows) == len(self) else self.vectors[rows]

    def id_of(self, row: int) -> UUID:
        """The face's id."""
        return UUID(bytes=self.ids[row].tobytes())


def uuid_keys(ids: Uuids) -> NDArray[np.bytes_]:
    """Ids as sortable keys. (n, 16) -> (n,), each without its trailing zero bytes."""
    return np.ascontiguousarray(ids).view("S16").ravel()


@dataclass(frozen=True, slots=True, eq=False)
class KnownPerson:
    """A row of ``memoria.persons``."""

    id: UUID
    name: str | None = None
    hidden: bool = False
    nobody: bool = False  # a statue, a poster
    merged_into: UUID | None = None
    model: str | None = None  # of the centroid
    centroid: F32 | None = None  # (512,) unit

    @property
    def root(self) -> UUID:
        """Whom a user sees. Merges are flat: nobody was merged into somebody who was merged."""
        return self.merged_into or self.id


@dataclass(frozen=True, slots=True, eq=False)
class KnownPeople:
    """Everybody known in an event and what users said, as (face, person) pairs."""

    people: tuple[KnownPerson, ...] = ()  # oldest first
    pins: tuple[tuple[UUID, UUID], ...] = ()
    rejections: tuple[tuple[UUID, UUID], ...] = ()
    covers: tuple[tuple[UUID, UUID], ...] = ()  # chosen by a user
    apart: tuple[tuple[UUID, UUID], ...] = ()  # pairs of people whom a user told apart
    forgettings: int = 0  # how often somebody was forgotten, of whom nothing else is known


@dataclass(frozen=True, slots=True, eq=False)
class PersonGroup:
    """The faces of one identity; several identities can be one person (``merged_into``)."""

    person_id: UUID
    is_new: bool
    rows: Index  # into EventFaces, ascending
    representative: int  # row
    model: str
    centroid: F32  # (512,) unit, over the faces of that model


@dataclass(frozen=True, slots=True)
class Change:
    """What a run did to one person; ``other_person_id`` is whom the faces came from or were."""

    kind: ChangeKind
    person_id: UUID
    other_person_id: UUID | None
    faces: int


@dataclass(frozen=True, slots=True, eq=False)
class PeopleResult:
    """Who is who now. Every face is in exactly one group or in ``nobody``."""

    faces: EventFaces
    groups: tuple[PersonGroup, ...]
    nobody: Index  # rows
    changes: tuple[Change, ...]
    moved: int  # faces that were somebody's and are no longer that person's: the churn
