"""The event that the demo makes itself, seen by the dlib engine."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from local.demo.dlib_engine import DlibEngine
from local.demo.sample_event import SHOTS, write_sample_event
from memoria.faces.types import Face
from memoria.media import decode_image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("event")
    write_sample_event(folder)
    return folder


@pytest.fixture(scope="module")
def faces(folder: Path) -> dict[str, list[Face]]:
    engine = DlibEngine()
    photos = [folder / f"IMG_{number:04}.jpg" for number in (1, 6, 10, 11, 12)]
    return {path.name: engine.find_faces(decode_image(path.read_bytes())) for path in photos}


def test_the_photos_differ_in_size_format_and_orientation(folder: Path):
    photos = [Image.open(path) for path in sorted(folder.iterdir())]
    assert len(photos) == len(SHOTS)
    assert len({photo.size for photo in photos}) >= 10
    assert {photo.format for photo in photos} == {"JPEG", "PNG"}
    assert {photo.getexif().get(0x0112, 1) for photo in photos} == {1, 6}
    for photo in photos:
        photo.close()


def test_nobody_is_in_one_photo_and_everybody_in_another(faces: dict[str, list[Face]]):
    counts = [len(found) for found in faces.values()]
    assert min(counts) == 0
    assert max(counts) == 6


def test_a_face_lies_upright_inside_its_photo(faces: dict[str, list[Face]]):
    for face in (face for found in faces.values() for face in found):
        assert face.box.min() >= 0
        assert (face.box[:2] + face.box[2:]).max() <= 1
        left_eye, right_eye, nose, mouth_left, mouth_right = face.landmarks
        assert left_eye[0] < right_eye[0]
        assert mouth_left[0] < mouth_right[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
        assert 0 < face.score <= 1
        assert 0 < face.quality <= 1


def test_vectors_are_unit_length_padded_and_tell_the_six_apart(faces: dict[str, list[Face]]):
    vectors = np.stack([face.embedding for found in faces.values() for face in found])
    assert vectors.shape[1] == 512
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert not vectors[:, 128:].any()
    everybody = np.stack([face.embedding for face in faces["IMG_0001.jpg"]])
    assert (everybody @ everybody.T)[~np.eye(6, dtype=bool)].max() < 0.5
    assert (vectors @ everybody.T).max(axis=1).min() > 0.6  # every face is one of the six


def test_a_large_photo_gives_the_same_fractions(folder: Path):
    engine = DlibEngine()
    small = decode_image((folder / "IMG_0010.jpg").read_bytes())
    large = np.asarray(Image.fromarray(small).resize((small.shape[1] * 4, small.shape[0] * 4)))
    (one,), (other,) = engine.find_faces(small), engine.find_faces(large)
    np.testing.assert_allclose(one.box, other.box, atol=0.03)
