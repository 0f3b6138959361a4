"""What the engine says about one face."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from memoria.arrays import F32, Image
from memoria.media import Photo


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one photo; coordinates are fractions of the upright image, clipped to it."""

    box: F32  # (4,) x y w h: top left corner and size, 0..1, x to the right, y down
    score: float  # the detector's confidence, 0..1
    quality: float  # how well this face can be recognised, 0..1 (faces/quality.py)
    landmarks: F32  # (5, 2) left eye, right eye, nose, left and right corner of the mouth, as seen
    embedding: F32  # (512,) unit length


def nearest_to_centre(faces: Sequence[Face]) -> Face:
    """The face in the middle of its photo: whom a portrait is of. At least one face."""
    return min(faces, key=lambda face: float(np.linalg.norm(face.box[:2] + face.box[2:] / 2 - 0.5)))


@dataclass(frozen=True, slots=True)
class PhotoFaces:
    """What the engine found in one photo; width and height of the upright image in pixels."""

    faces: list[Face]
    width: int
    height: int
    model: str
    # of boxes that users drew: None where there is nothing to be read
    drawn: dict[str, Face | None] = field(default_factory=dict)


class FaceEngine(Protocol):
    """Finds and embeds faces; built once per worker, safe to call from several threads."""

    @property
    def model(self) -> str:
        """The name stored with every face: vectors of different models are never compared."""
        ...

    def find_faces(self, image: Image) -> list[Face]:
        """All faces of an upright RGB photo, best first. (h, w, 3) uint8 -> 0..max_faces faces."""
        ...

    def find_faces_in(
        self, photo: Photo, drawn: Sequence[F32] = ()
    ) -> tuple[list[Face], list[Face | None]]:
        """The same of a photo that is not decoded yet: the engine says how large it must be seen.

        And the faces in boxes that users drew, (4,) each, x y w h in fractions: None where
        there is none to be read. Raises as decoding does.
        """
        ...
