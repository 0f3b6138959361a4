"""What to ask users: are these two one person, and whose is this face?

Made at the end of a run of what it left apart, by the evidence that grouping weighs. Pure: arrays
in, questions out. What users say until a question is read filters it again (43_suggestions.sql).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F64, Index
from memoria.clustering.thresholds import NONE_MEASURED, Measured, thresholds_for
from memoria.people.likely import Likely, likely_pairs
from memoria.people.sides import Sides, sides_of
from memoria.people.types import EventFaces, KnownPeople, PeopleResult

MOST = 500  # questions of an event
LIKELY_PAIR, LIKELY_FACE = 0.03, 0.1  # what is less likely is not asked
TOGETHER = 2  # photos that show both: then they are two; one photo halves the likelihood
CANDIDATES = 3  # for a face
EVIDENCE = 4  # pairs of faces for two people
LOOKED_AT = 30  # faces of each side, the best, among which the evidence is looked for


@dataclass(frozen=True, slots=True)
class Shown:
    """Two faces to look at, of the two sides."""

    face: UUID
    other_face: UUID
    similarity: float


@dataclass(frozen=True, slots=True)
class SamePerson:
    """Two people who may be one; ``one`` before ``other`` by their ids."""

    one: UUID
    other: UUID
    likelihood: float  # 0..1
    weight: float  # likelihood times the faces of the smaller side: the order of the list
    photos_together: int
    evidence: tuple[Shown, ...]  # at most 4, of different photos, most alike first


@dataclass(frozen=True, slots=True)
class WhoIsThis:
    """A face of nobody's and who it may be, likeliest first."""

    face: UUID
    candidates: tuple[tuple[UUID, float], ...]  # at most 3

    @property
    def weight(self) -> float:
        """Of the smaller side, which is one face."""
        return self.candidates[0][1]


Suggestion = SamePerson | WhoIsThis


def suggestions(
    result: PeopleResult, known: KnownPeople, similarities: Measured = NONE_MEASURED
) -> tuple[Suggestion, ...]:
    """At most 500 questions on the outcome of a run, those most worth asking first."""
    faces, sides = result.faces, sides_of(result, known)
    asked: dict[tuple[UUID, ...], Suggestion] = {}
    for index, model in enumerate(faces.models):
        rows, vectors = faces.of_model(index)
        likely = likely_pairs(
            vectors, faces.quality[rows], sides.person[rows], thresholds_for(model, similarities)
        )
        for pair in _about_people(faces, sides, likely, rows):
            key = (pair.one, pair.other)
            asked[key] = max(pair, asked.get(key, pair), key=_weight)  # of two models the surer
        asked |= {(one.face,): one for one in _about_faces(faces, sides, likely, rows)}
    return tuple(sorted(asked.values(), key=_weight, reverse=True)[:MOST])


def _weight(asked: Suggestion) -> float:
    return asked.weight


def _about_people(
    faces: EventFaces, sides: Sides, likely: Likely, rows: Index
) -> Iterator[SamePerson]:
    one, other = likely.one, likely.other
    together = sides.photos_together(one, other)
    chance = np.where(together > 0, likely.people / 2, likely.people)
    weight = chance * np.minimum(sides.size[one], sides.size[other])
    ask = (chance >= LIKELY_PAIR) & (together < TOGETHER) & sides.may_be_one(one, other)
    for i in _heaviest(weight, ask):
        pair = sorted((int(one[i]), int(other[i])), key=lambda who: sides.ids[who].bytes)
        first, second = (rows[sides.person[rows] == who] for who in pair)
        yield SamePerson(
            one=sides.ids[pair[0]],
            other=sides.ids[pair[1]],
            likelihood=float(chance[i]),
            weight=float(weight[i]),
            photos_together=int(together[i]),
            evidence=_evidence(faces, first, second),
        )


def _about_faces(
    faces: EventFaces, sides: Sides, likely: Likely, rows: Index
) -> Iterator[WhoIsThis]:
    face, who = rows[likely.face], likely.who
    chance = likely.faces / (1 + sides.in_photo(sides.photo[face], who))
    ask = (chance >= LIKELY_FACE) & sides.may_be(face, who)
    candidates: dict[int, list[tuple[UUID, float]]] = {}
    for i in _heaviest(chance, ask, CANDIDATES * MOST):
        candidates.setdefault(int(face[i]), []).append((sides.ids[who[i]], float(chance[i])))
    for row, offered in candidates.items():
        yield WhoIsThis(face=faces.id_of(row), candidates=tuple(offered[:CANDIDATES]))


def _heaviest(weight: F64, ask: NDArray[np.bool_], most: int = MOST) -> list[int]:
    """Indices of what may be asked, heaviest first."""
    chosen = np.flatnonzero(ask)
    found: list[int] = chosen[np.argsort(-weight[chosen], kind="stable")][:most].tolist()
    return found


def _evidence(faces: EventFaces, one: Index, other: Index) -> tuple[Shown, ...]:
    """Faces of both sides that are most alike, of different photos. (m,), (k,) rows."""
    one, other = (
        side[np.argsort(-faces.quality[side], kind="stable")][:LOOKED_AT] for side in (one, other)
    )
    alike = faces.vectors[one] @ faces.vectors[other].T
    shown: list[Shown] = []
    photos: set[int] = set()
    for i, j in zip(*np.divmod(np.argsort(-alike, axis=None), len(other)), strict=True):
        pair = {int(faces.photos[one[i]]), int(faces.photos[other[j]])}
        if len(pair) == 2 and not pair & photos:
            photos |= pair
            face, other_face = faces.id_of(int(one[i])), faces.id_of(int(other[j]))
            shown.append(Shown(face, other_face, float(alike[i, j])))
        if len(shown) == EVIDENCE:
            break
    return tuple(shown)
