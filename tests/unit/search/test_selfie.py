"""Which face of the pictures is the guest's."""

import numpy as np
import pytest

from memoria.arrays import F32
from memoria.faces.types import Face
from memoria.search.refusals import (
    FaceTooSmall,
    FaceUnclear,
    NoFace,
    SeveralFaces,
    SeveralPeople,
)
from memoria.search.selfie import Picture, selfie_of

LEAST = 0.29
RANDOM = np.random.default_rng(5)


def vector(seed: int, noise: float = 0.0) -> F32:
    base = np.random.default_rng(seed).normal(size=512)
    some = base + noise * RANDOM.normal(size=512)
    return (some / np.linalg.norm(some)).astype(np.float32)


def face(
    person: int = 1, *, x: float = 0.3, size: float = 0.3, quality: float = 0.9, noise: float = 0.3
) -> Face:
    box = np.array([x, 0.2, size, size], np.float32)
    return Face(box, 0.9, quality, np.zeros((5, 2), np.float32), vector(person, noise))


def picture(*faces: Face, side: int = 1000) -> Picture:
    return Picture(faces, side, side)


def test_one_picture_is_one_look() -> None:
    own = face()
    selfie = selfie_of([picture(own)], LEAST)
    assert selfie.face is own
    assert selfie.weight == pytest.approx(0.9)
    assert selfie.mean_length == pytest.approx(1, abs=1e-6)
    assert np.allclose(selfie.vector, own.embedding, atol=1e-6)


def test_three_pictures_are_more_than_one_and_less_than_three() -> None:
    selfie = selfie_of([picture(face()) for _ in range(3)], LEAST)
    assert 0.9 < selfie.weight < 2
    assert selfie.mean_length < 1
    assert np.linalg.norm(selfie.vector) == pytest.approx(1, abs=1e-6)
    assert selfie.vector @ vector(1) > face().embedding @ vector(1)


def test_a_much_larger_face_is_the_guests() -> None:
    own = face(size=0.4)
    assert selfie_of([picture(face(2, x=0.8, size=0.2), own)], LEAST).face is own


def test_of_several_faces_the_guest_chooses() -> None:
    left, right = face(1, x=0.1), face(2, x=0.6)
    with pytest.raises(SeveralFaces) as refused:
        selfie_of([picture(left, right)], LEAST)
    assert [box["x"] for box in refused.value.boxes] == pytest.approx([0.1, 0.6])
    assert selfie_of([picture(left, right)], LEAST, (0.75, 0.3)).face is right


def test_in_further_pictures_the_guest_is_known_again() -> None:
    friend = face(2, x=0.6)
    selfie = selfie_of([picture(face()), picture(friend, face(x=0.1))], LEAST)
    assert selfie.vector @ vector(1) > 0.9
    with pytest.raises(SeveralPeople):
        selfie_of([picture(face()), picture(friend)], LEAST)


@pytest.mark.parametrize(
    ("pictures", "refusal", "number"),
    [
        ([picture()], NoFace, 1),
        ([picture(face()), picture()], NoFace, 2),
        ([picture(face(size=0.3), side=100)], FaceTooSmall, 1),
        ([picture(face(quality=0.1))], FaceUnclear, 1),
        ([picture(face(1)), picture(face(2))], SeveralPeople, None),
    ],
)
def test_what_cannot_be_searched_for(
    pictures: list[Picture], refusal: type[Exception], number: int | None
) -> None:
    with pytest.raises(refusal, match=f"picture {number}" if number else "one person"):
        selfie_of(pictures, LEAST)
