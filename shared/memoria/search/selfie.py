"""From the faces of one to three pictures to the one face that is searched for. Arrays only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memoria.arrays import F32
from memoria.contracts import bbox_body
from memoria.faces.types import Face
from memoria.search.refusals import (
    FaceTooSmall,
    FaceUnclear,
    NoFace,
    SeveralFaces,
    SeveralPeople,
)

Point = tuple[float, float]  # x, y as fractions of the upright picture
LARGEST_BY = 2.5  # how many times the next face's area makes a face the only one meant
FEWEST_PIXELS = 36  # of the shorter side of the box; decision 0801
LEAST_QUALITY = 0.2  # decision 0801
REPEATED = 2.0  # pictures of one sitting repeat each other: n count as n / (1 + (n - 1) / REPEATED)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What was found in one picture; width and height of the upright picture in pixels."""

    faces: Sequence[Face]
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class Selfie:
    """One person, seen in one to three pictures."""

    face: Face  # of the first picture: what the guest is shown
    vector: F32  # (512,) unit, the mean direction
    weight: float  # over 0: of how many clear, independent pictures it is worth
    mean_length: float  # 0..1, the length of the mean of the unit vectors; 1 for one picture


def selfie_of(pictures: Sequence[Picture], least: float, point: Point | None = None) -> Selfie:
    """The guest's face.

    ``least``: the similarity under which two faces speak for two people (the pack's). ``point``:
    which face of the first picture is meant; in the others it is the one most like it. Raises
    NoFace, SeveralFaces, SeveralPeople, FaceTooSmall, FaceUnclear.
    """
    for number, picture in enumerate(pictures, start=1):
        if not picture.faces:
            raise NoFace(f"picture {number}: no face was found")
    first = _pointed_at(pictures[0].faces, point) if point else _largest(pictures[0])
    faces = [first, *(_most_alike(picture.faces, first) for picture in pictures[1:])]
    for number, (face, picture) in enumerate(zip(faces, pictures, strict=True), start=1):
        _check(face, picture, number)
    vectors = np.stack([face.embedding for face in faces])
    if (vectors @ vectors.T).min() < least:
        raise SeveralPeople("the pictures do not show one person: send pictures of yourself")
    return _together(faces, vectors)


def _together(faces: Sequence[Face], vectors: F32) -> Selfie:
    weights = np.array([face.quality for face in faces])
    total = weights @ vectors / weights.sum()
    mean_length = float(np.linalg.norm(total))
    count = float(weights.sum())
    return Selfie(
        face=faces[0],
        vector=(total / mean_length).astype(np.float32),
        weight=count / (1 + max(count - 1, 0) / REPEATED),
        mean_length=min(mean_length, 1.0),
    )


def _check(face: Face, picture: Picture, number: int) -> None:
    shorter = min(face.box[2] * picture.width, face.box[3] * picture.height)
    if shorter < FEWEST_PIXELS:
        raise FaceTooSmall(
            f"picture {number}: the face is {shorter:.0f} pixels wide, it takes {FEWEST_PIXELS}"
        )
    if face.quality < LEAST_QUALITY:
        raise FaceUnclear(
            f"picture {number}: the face is not clear: look into the camera, in good light"
        )


def _most_alike(faces: Sequence[Face], own: Face) -> Face:
    return max(faces, key=lambda face: float(face.embedding @ own.embedding))


def _pointed_at(faces: Sequence[Face], point: Point) -> Face:
    """The face whose middle is nearest, in boxes: a large face is hit from further away."""

    def distance(face: Face) -> float:
        away = (np.asarray(point) - face.box[:2] - face.box[2:] / 2) / np.maximum(
            face.box[2:], 1e-6
        )
        return float(np.linalg.norm(away))

    return min(faces, key=distance)


def _largest(picture: Picture) -> Face:
    by_area = sorted(picture.faces, key=_area, reverse=True)
    if len(by_area) > 1 and _area(by_area[0]) < LARGEST_BY * _area(by_area[1]):
        boxes = [bbox_body(face) for face in by_area]
        raise SeveralFaces("picture 1: several faces: say which is yours", boxes)
    return by_area[0]


def _area(face: Face) -> float:
    return float(face.box[2] * face.box[3])
