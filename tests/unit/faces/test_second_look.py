from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.variants import variants
from memoria.arrays import Image
from memoria.faces import find_faces_in_photo, open_engine
from memoria.faces.geometry import NOTHING, Detections, joined
from memoria.faces.second_look import doubtful_from, doubtful_to, reconsidered
from memoria.packs.catalogue import SCALES
from memoria.packs.pack import DetectionScale
from tests.data import PORTRAITS, SMALL_PACK, needs
from tests.unit.faces.blobs import BlobDetector, with_blob

IMAGE = np.full((400, 600, 3), 90, np.uint8)
MIDDLE = 80.0  # of a second look's canvas


def face(x: float, y: float, size: float = 48, score: float = 0.6) -> Detections:
    box = np.array([[x - size / 2, y - size / 2, x + size / 2, y + size / 2]], np.float32)
    landmarks = np.repeat(box.reshape(1, 2, 2).mean(axis=1, keepdims=True), 5, axis=1)
    return Detections(box, np.array([score], np.float32), landmarks)


@dataclass
class Eye:
    """In the detector's place: sees what it is told, and remembers what it was shown."""

    sees: Detections
    fixed_size: tuple[int, int] | None = None
    scale: DetectionScale = SCALES["scrfd"]
    shown: list[Image] = field(default_factory=list)

    def detect(self, canvas: Image, threshold: float) -> Detections:
        self.shown.append(canvas)
        return self.sees


def again(sees: Detections, found: Detections, **options: Any) -> tuple[Detections, Eye]:
    eye = Eye(sees, **options)
    return reconsidered(eye, IMAGE, found, 0.5), eye  # type: ignore[arg-type]


@pytest.mark.parametrize(("second", "mean"), [(0.9, 0.7533), (0.5, 0.4867)])
def test_the_score_is_the_mean_of_three_looks(second: float, mean: float) -> None:
    result, eye = again(face(MIDDLE, MIDDLE, score=second), face(300, 200, score=0.46))
    assert len(eye.shown) == 2
    assert len(result) == (mean >= 0.5)
    assert result.scores == pytest.approx([mean] if mean >= 0.5 else [], abs=1e-3)


def test_who_is_not_seen_again_is_no_face() -> None:
    for elsewhere in (NOTHING, face(20, 20, score=0.9), face(MIDDLE, MIDDLE, size=120, score=0.9)):
        assert len(again(elsewhere, face(300, 200, score=0.79))[0]) == 0


def test_faces_without_a_doubt_are_left_alone() -> None:
    result, eye = again(NOTHING, face(300, 200, score=doubtful_to(0.5, SCALES["scrfd"])))
    assert eye.shown == []
    assert len(result) == 1


@pytest.mark.parametrize("size", [6, 48, 333])
@pytest.mark.parametrize("place", [(300, 200), (0, 0), (599, 399), (-3, 404)])
def test_what_is_seen_in_the_middle_is_where_the_face_was(
    size: float, place: tuple[float, float]
) -> None:
    found = face(*place, size=size)
    result, _ = again(face(MIDDLE, MIDDLE), found)
    inside = np.clip(place, 0, [600, 400])
    moved = np.abs(result.boxes - found.boxes).max()
    assert moved <= np.abs(inside - place).max() + 1e-3


def test_what_lies_in_the_middle_of_the_view_is_the_middle_of_the_face() -> None:
    image = np.full((400, 600, 3), 90, np.uint8)
    image[196:204, 296:304] = 255
    eye = Eye(face(MIDDLE, MIDDLE))
    reconsidered(eye, image, face(300, 200, size=48), 0.5)  # type: ignore[arg-type]
    for view in eye.shown:
        rows, columns = np.nonzero(view[..., 0] > 200)
        assert rows.mean() + 0.5 == pytest.approx(MIDDLE, abs=0.05)
        assert columns.mean() + 0.5 == pytest.approx(MIDDLE, abs=0.05)


def test_a_doubtful_part_of_a_certain_face_does_not_make_it_two() -> None:
    certain, part = face(300, 200, score=0.95), face(312, 200, score=0.47)
    seen = face(MIDDLE - 12, MIDDLE, score=0.95)
    assert len(again(seen, joined([certain, part]))[0]) == 1


def test_looks_are_bounded_and_those_at_the_threshold_come_first() -> None:
    places = [(40 + 50 * (i % 11), 40 + 60 * (i // 11)) for i in range(44)]
    scores = np.linspace(0.51, 0.75, 44)
    found = joined([face(*p, score=s) for p, s in zip(places, scores, strict=True)])
    result, eye = again(NOTHING, found)
    assert len(eye.shown) == 24
    assert len(result) == 32
    assert result.scores.min() == pytest.approx(scores[12], abs=1e-6)


def test_a_detector_of_one_size_sees_many_side_by_side() -> None:
    image = np.zeros((400, 600, 3), np.uint8)
    places = [(60 + 50 * i, 200) for i in range(10)]
    for x, y in places:
        with_blob(image, x - 10, y - 10, 20)
    found = joined([face(x, y, size=20, score=0.6) for x, y in places])
    eye = BlobDetector((640, 640))
    result = reconsidered(eye, image, found, 0.5)  # type: ignore[arg-type]
    assert len(eye.shown) == 2  # 10 faces, seen twice, 16 on a canvas
    assert result.scores == pytest.approx([(0.6 + 0.9 + 0.9) / 3] * 10)


@given(threshold=st.floats(0.01, 0.99))
@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_the_doubtful_are_around_the_threshold(threshold: float, scale: DetectionScale) -> None:
    assert 0 < doubtful_from(threshold) < threshold < doubtful_to(threshold, scale) < 1
    assert doubtful_to(scale.face, scale) == pytest.approx(scale.settled)


@needs(SMALL_PACK, PORTRAITS)
@pytest.mark.parametrize("name", ["IMG_0003.jpg", "IMG_0121.jpg", "IMG_0315.jpg", "IMG_0641.jpg"])
def test_faces_at_the_threshold_are_the_same_in_every_copy_of_a_photo(name: str) -> None:
    """Each of these photos gained or lost a face somewhere on one look."""
    engine = open_engine(SMALL_PACK, threads=2)
    data = (PORTRAITS / name).read_bytes()
    faces = find_faces_in_photo(engine, data)[0]
    for kind, copy in variants(data):
        if kind in ("× 2", "HEIC", "WebP", "CMYK", "grey"):
            assert len(find_faces_in_photo(engine, copy)[0]) == len(faces), kind
