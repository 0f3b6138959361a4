"""The people of a run's outcome as users see them, and which of them may not be asked about."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F64, Index
from memoria.clustering.keys import distinct
from memoria.people.types import EventFaces, KnownPeople, PeopleResult


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Indices name people: whoever has faces, merged ones as one."""

    ids: tuple[UUID, ...]  # (k,)
    person: Index  # (n,) of each face, -1 nobody's
    size: Index  # (k,) faces
    shown: NDArray[np.bool_]  # (k,) not hidden
    name: Index  # (k,) equal where names are, without case and blanks; -1 without a name
    denied: NDArray[np.int64]  # one * k + other, both ways: told apart, or a face taken away
    rejected: NDArray[np.int64]  # row * k + person, of single faces
    photo: Index  # (n,) each face's photo as a column of ``seen``
    seen: Any  # (k, photos) sparse, 1 where a photo shows a person

    def may_be_one(self, one: Index, other: Index) -> NDArray[np.bool_]:
        """Whether two people may be asked about. (m,), (m,) -> (m,)."""
        k = len(self.ids)
        named = (self.name[one] >= 0) & (self.name[other] >= 0)
        differ = named & (self.name[one] != self.name[other])
        allowed: NDArray[np.bool_] = self.shown[one] & self.shown[other] & ~differ
        return allowed & ~np.isin(one * k + other, self.denied)

    def may_be(self, rows: Index, who: Index) -> NDArray[np.bool_]:
        """Whether a face may be asked about with a person. (m,), (m,) -> (m,)."""
        allowed: NDArray[np.bool_] = self.shown[who]
        return allowed & ~np.isin(rows * len(self.ids) + who, self.rejected)

    def photos_together(self, one: Index, other: Index) -> Index:
        """How many photos show both. (m,), (m,) -> (m,)."""
        if len(one) == 0:
            return np.zeros(0, np.intp)
        both = self.seen[one].multiply(self.seen[other])
        return np.asarray(both.sum(axis=1)).ravel().astype(np.intp)

    def in_photo(self, photos: Index, who: Index) -> F64:
        """1 where a photo, by its column of ``seen``, shows a person. (m,), (m,) -> (m,)."""
        if len(who) == 0:
            return np.zeros(0)
        return np.asarray(self.seen[who, photos]).ravel().astype(np.float64)


def sides_of(result: PeopleResult, known: KnownPeople) -> Sides:
    """Who is who after a run, with what users said. Who is new is known to nobody yet."""
    root = {person.id: person.root for person in known.people}
    number: dict[UUID, int] = {}
    person = np.full(len(result.faces), -1, dtype=np.intp)
    for group in result.groups:
        who = root.get(group.person_id, group.person_id)
        person[group.rows] = number.setdefault(who, len(number))
    hidden = {one.id for one in known.people if one.hidden or one.nobody}
    names = {
        one.id: " ".join(one.name.casefold().split())
        for one in known.people
        if one.name and not one.merged_into
    }
    photo = np.unique(result.faces.photos, return_inverse=True)[1]
    key = {name: index for index, name in enumerate(sorted(set(names.values())))}
    return Sides(
        ids=tuple(number),
        person=person,
        size=np.bincount(person[person >= 0], minlength=len(number)).astype(np.intp),
        shown=np.array([who not in hidden for who in number], dtype=bool),
        name=np.array([key[names[who]] if who in names else -1 for who in number], dtype=np.intp),
        **_denied(result.faces, known, person, number, root),
        photo=photo,
        seen=_seen(photo, person, len(number)),
    )


def _denied(
    faces: EventFaces,
    known: KnownPeople,
    person: Index,
    number: dict[UUID, int],
    root: dict[UUID, UUID],
) -> dict[str, NDArray[np.int64]]:
    """The keys of ``denied`` and ``rejected``."""

    def index(who: UUID) -> int:
        return number.get(root.get(who, who), -1)

    k = len(number)
    apart = [(index(one), index(other)) for one, other in known.apart]
    rows = faces.rows_of(face for face, _ in known.rejections)
    taken = [(int(row), index(who)) for row, (_, who) in zip(rows, known.rejections, strict=True)]
    taken = [(row, who) for row, who in taken if row >= 0 and who >= 0]
    apart += [(int(person[row]), who) for row, who in taken]
    pairs = [(a, b) for a, b in apart if a >= 0 and b >= 0 and a != b]
    return {
        "denied": np.array([x for a, b in pairs for x in (a * k + b, b * k + a)], dtype=np.int64),
        "rejected": np.array([row * k + who for row, who in taken], dtype=np.int64),
    }


def _seen(photo: Index, person: Index, people: int) -> Any:
    from scipy.sparse import csr_array

    columns = int(photo.max(initial=-1)) + 1
    place = distinct(person[person >= 0] * columns + photo[person >= 0])
    where = np.divmod(place, max(columns, 1))
    return csr_array((np.ones(len(place)), where), shape=(people, columns))
