"""What an engine does with what its networks say."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from memoria.arrays import F32, Image
from memoria.faces.engine import Engine
from memoria.faces.geometry import CROP_LANDMARKS, Detections

_SIDE = 112


@dataclass
class Recogniser:
    """In the recogniser's place: says the same of whatever faces it is shown."""

    vectors: F32

    def embed(self, _crops: Any) -> F32:
        return self.vectors


def described(vectors: list[F32]) -> list[float]:
    """The scores of the faces that are left, each of which has vectors of length 1."""
    count = len(vectors)
    found = Detections(
        np.tile(np.array([0, 0, _SIDE, _SIDE], np.float32), (count, 1)),
        np.linspace(0.9, 0.5, count, dtype=np.float32),
        np.tile(CROP_LANDMARKS, (count, 1, 1)),
    )
    crops: list[Image] = [np.full((_SIDE, _SIDE, 3), 90, np.uint8)] * count
    engine = Engine("test", None, Recogniser(np.stack(vectors)))  # type: ignore[arg-type]
    faces = engine.described(found, crops, (_SIDE, _SIDE))
    assert np.allclose([np.linalg.norm(face.embedding) for face in faces], 1)
    return [round(face.score, 1) for face in faces]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0])
def test_a_face_whose_vector_has_no_direction_is_left_out(
    bad: float, caplog: pytest.LogCaptureFixture
) -> None:
    good = np.ones(512, np.float32)
    strange = np.full(512, bad, np.float32)
    with caplog.at_level(logging.WARNING):
        assert described([good, strange, good]) == [0.9, 0.5]
        assert described([strange]) == []
    assert "1 of 3 faces left out" in caplog.text


def test_one_number_that_is_none_is_enough_to_leave_a_face_out() -> None:
    strange = np.ones(512, np.float32)
    strange[7] = np.nan
    assert described([strange, np.ones(512, np.float32)]) == [0.5]
