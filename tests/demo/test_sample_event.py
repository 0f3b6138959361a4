"""The event that the demo makes itself, seen by the pack that anybody can have."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from local.demo.sample_event import SHOTS, write_sample_event
from memoria.clustering import group_faces
from memoria.faces import Engine, Face, open_engine
from memoria.media import decode_image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("event")
    write_sample_event(folder)
    return folder


@pytest.fixture(scope="module")
def engine(offline_pack: Path) -> Engine:
    return open_engine(offline_pack, threads=2)


@pytest.fixture(scope="module")
def faces(engine: Engine, folder: Path) -> dict[str, list[Face]]:
    return {
        path.name: engine.find_faces(decode_image(path.read_bytes()))
        for path in sorted(folder.iterdir())
    }


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
        assert max(left_eye[1], right_eye[1]) < min(mouth_left[1], mouth_right[1])
        assert min(left_eye[1], right_eye[1]) <= nose[1] <= max(mouth_left[1], mouth_right[1])
        assert 0 < face.score <= 1
        assert 0 < face.quality <= 1


def test_six_people_recur(engine: Engine, faces: dict[str, list[Face]]):
    everybody = [(name, face) for name, found in faces.items() for face in found]
    labels = group_faces(
        np.stack([face.embedding for _, face in everybody]),
        photo_ids=[name for name, _ in everybody],
        quality=[face.quality for _, face in everybody],
        model=engine.model,
    )
    assert labels.max() == 5
    assert min(np.bincount(labels[labels >= 0])) >= 3
