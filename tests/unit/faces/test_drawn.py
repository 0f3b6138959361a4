"""Boxes that users drew are read where there is a face, on real photos."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest

from memoria.arrays import F32, Image
from memoria.faces import Engine, Face, find_faces_in_photo, open_engine
from memoria.faces.detector import Detector
from memoria.faces.drawn import SEEN_PX, views
from memoria.faces.geometry import Detections
from memoria.media import LoadedPhoto, Photo, opened_here
from memoria.media.decode import decode_image
from memoria.packs.pack import DetectionScale
from tests.data import DATA, PHOTOS, SMALL_PACK, needs

pytestmark = needs(SMALL_PACK, PHOTOS)
SELFIE = DATA / "photos" / "selfie_6_faces.jpg"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine(SMALL_PACK, threads=2)


@pytest.fixture(scope="module")
def found(engine: Engine) -> list[Face]:
    return find_faces_in_photo(engine, SELFIE.read_bytes())[0]


def read(engine: Engine, data: bytes, boxes: list[F32]) -> list[Face | None]:
    with opened_here(data) as photo:
        return engine.find_faces_in(photo, boxes)[1]


@dataclass(slots=True)
class Counted:
    """A photo that counts how often it is loaded, and knows whether it is."""

    photo: Photo
    times: int = 0
    is_loaded: bool = False

    @property
    def size(self) -> tuple[int, int]:
        return self.photo.size

    def frame(self, min_side: int | None = None) -> Image:
        return self.photo.frame(min_side)

    @contextmanager
    def loaded(self, min_side: int | None) -> Iterator[LoadedPhoto]:
        self.times += 1
        with self.photo.loaded(min_side) as loaded:
            self.is_loaded = True
            yield loaded
        self.is_loaded = False


@dataclass(slots=True)
class Watching:
    """A detector that counts its looks at a photo that is loaded, and at one that is not."""

    detector: Detector
    photo: Counted
    looks: tuple[int, int] = (0, 0)

    @property
    def scale(self) -> DetectionScale:
        return self.detector.scale

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        return self.detector.fixed_size

    def canvas_size(self, width: int, height: int) -> tuple[int, int]:
        return self.detector.canvas_size(width, height)

    def detect(self, canvas: Image, threshold: float) -> Detections:
        loaded, given_back = self.looks
        is_loaded = self.photo.is_loaded
        self.looks = loaded + is_loaded, given_back + (not is_loaded)
        return self.detector.detect(canvas, threshold)


def png(image: Image) -> bytes:
    return bytes(cv2.imencode(".png", image[..., ::-1])[1])


def test_a_loosely_drawn_box_has_the_face_in_it(engine: Engine, found: list[Face]) -> None:
    boxes = [face.box + np.array([-0.02, 0.01, 0.03, 0.02], np.float32) for face in found]
    for face, again in zip(found, read(engine, SELFIE.read_bytes(), boxes), strict=True):
        assert again is not None
        assert again.embedding @ face.embedding > 0.8
        assert np.abs(again.box - face.box).max() < 0.05


def test_a_photo_with_drawn_boxes_is_loaded_once(engine: Engine, found: list[Face]) -> None:
    with opened_here(SELFIE.read_bytes()) as photo:
        counted = Counted(photo)
        faces, drawn = engine.find_faces_in(counted, [face.box for face in found])
    assert counted.times == 1
    assert (len(faces), len(drawn)) == (len(found), len(found))


def test_a_photo_is_given_back_before_its_drawn_boxes_are_looked_at(
    engine: Engine, found: list[Face]
) -> None:
    """Twelve looks a box take long: others wait for the memory."""
    with opened_here(SELFIE.read_bytes()) as photo:
        counted = Counted(photo)
        watching: Any = Watching(engine.search.detector, counted)
        watched = replace(engine, search=replace(engine.search, detector=watching))
        watched.find_faces_in(counted)
        searched, _ = watching.looks
        watched.find_faces_in(counted, [found[0].box, found[1].box])
    assert watching.looks == (2 * searched, 2 * 12)


def test_what_is_kept_of_drawn_boxes_is_small() -> None:
    image = np.tile(decode_image(SELFIE.read_bytes()), (6, 6, 1))
    boxes = [np.array([0.2, 0.2, side, side], np.float32) for side in (0.01, 0.1, 0.6)]
    with opened_here(png(image)) as photo, photo.loaded(None) as loaded:
        kept = [view.image for view in views(loaded, boxes)]
    assert all(max(part.shape[:2]) <= 3 * SEEN_PX + 2 and part.base is None for part in kept)


def test_a_face_that_lies_on_its_side_is_read(engine: Engine, found: list[Face]) -> None:
    image = decode_image(SELFIE.read_bytes())
    turned = np.asarray(cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE), np.uint8)
    x, y, w, h = found[0].box
    (again,) = read(engine, png(turned), [np.array([1 - y - h, x, h, w], np.float32)])
    assert again is not None
    assert again.embedding @ found[0].embedding > 0.7


def test_where_there_is_no_face_nothing_is_read(engine: Engine) -> None:
    noise = np.random.default_rng(0).integers(90, 110, (400, 600, 3)).astype(np.uint8)
    assert read(engine, png(noise), [np.array([0.4, 0.3, 0.2, 0.3], np.float32)]) == [None]


def test_a_box_as_large_as_a_large_photo_is_read_in_the_frame(
    engine: Engine, found: list[Face]
) -> None:
    image = decode_image(SELFIE.read_bytes())
    x, y, w, h = (found[0].box * np.tile(image.shape[1::-1], 2)).astype(int)
    face = image[max(0, y - h // 5) : y + h + h // 5, max(0, x - w // 5) : x + w + w // 5]
    large = np.asarray(cv2.resize(face, (2400, 3000), interpolation=cv2.INTER_CUBIC), np.uint8)
    (again,) = read(engine, png(large), [np.array([0.1, 0.1, 0.8, 0.8], np.float32)])
    assert again is not None
    assert again.embedding @ found[0].embedding > 0.6
