"""A sample of the figures that ``python -m benchmarks.find_faces`` prints in full."""

import io
import json
import threading

import cv2
import numpy as np
import pytest
from PIL import Image

from memoria import metrics
from memoria.faces import Engine, find_faces_in_photo, open_engine
from memoria.media import decode_image
from tests.data import DATA, PHOTOS, SITCOM, SMALL_PACK, needs
from tests.exif import STORED

pytestmark = needs(SMALL_PACK, SITCOM, PHOTOS)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine(SMALL_PACK, threads=2)


def photo(name: str) -> bytes:
    return (DATA / name).read_bytes()


def test_every_labelled_face_of_the_event_is_found_and_no_other(engine: Engine) -> None:
    labels = json.loads(photo("events/sitcom/labels.json"))["photos"]
    found = {
        name: find_faces_in_photo(engine, photo(f"events/sitcom/{name}"))[0] for name in labels
    }
    assert {n: len(faces) for n, faces in found.items()} == {n: len(p) for n, p in labels.items()}


@pytest.mark.parametrize(
    ("name", "faces"), [("solvay_1927_29_faces.png", 29), ("selfie_6_faces.jpg", 6)]
)
def test_groups_are_found_whole(engine: Engine, name: str, faces: int) -> None:
    assert len(find_faces_in_photo(engine, photo(f"photos/{name}"))[0]) == faces


@pytest.mark.parametrize(
    "turn", [cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE]
)
@pytest.mark.parametrize("name", ["photos/selfie_6_faces.jpg", "events/sitcom/IMG_0001.png"])
def test_a_photo_that_lies_on_its_side_has_the_same_people(
    engine: Engine, name: str, turn: int
) -> None:
    image = decode_image(photo(name))
    upright = engine.find_faces(image)
    turned = engine.find_faces(np.asarray(cv2.rotate(image, turn)))
    similar = np.array([[a.embedding @ b.embedding for b in turned] for a in upright])
    assert len(turned) == len(upright)
    assert similar.max(axis=1).min() > 0.5


def test_a_crowd_far_away_is_found_though_the_first_look_is_sure_of_nobody(engine: Engine) -> None:
    group = decode_image(photo("photos/solvay_1927_29_faces.png"))
    small = cv2.resize(group, None, fx=0.28, fy=0.28, interpolation=cv2.INTER_AREA)
    scene = np.full_like(group, 90)
    scene[700 : 700 + len(small), 900 : 900 + small.shape[1]] = small
    sure = engine.search.looks.main(scene).scores >= engine.search.threshold
    assert sure.sum() <= 1
    assert len(engine.find_faces(scene)) >= 28


def test_what_a_face_says_of_itself_is_within_its_ranges(engine: Engine) -> None:
    for face in engine.find_faces(decode_image(photo("photos/selfie_6_faces.jpg"))):
        assert face.embedding.shape == (512,)
        assert face.embedding.dtype == np.float32
        assert np.linalg.norm(face.embedding) == pytest.approx(1, abs=1e-5)
        assert 0 <= face.quality <= 1
        assert 0.5 <= face.score <= 1
        x, y, w, h = face.box
        assert 0 <= x < x + w <= 1.000001
        assert 0 <= y < y + h <= 1.000001
        assert face.landmarks.shape == (5, 2)


def test_a_face_in_a_reduced_frame_is_as_good_as_in_the_full_one(engine: Engine) -> None:
    image = decode_image(photo("photos/solvay_1927_29_faces.png"))
    image = np.asarray(cv2.resize(image, None, fx=1.4, fy=1.4), np.uint8)
    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    reduced, width, height = find_faces_in_photo(engine, data.tobytes())
    full = engine.find_faces(decode_image(data.tobytes()))
    assert (width, height) == (image.shape[1], image.shape[0])
    similar = np.array([[a.embedding @ b.embedding for b in reduced] for a in full])
    assert len(reduced) == len(full) == 29
    assert similar.max(axis=1).min() > 0.8


def test_a_photo_is_answered_by_stages(engine: Engine) -> None:
    def counts() -> dict[str, float]:
        told = [m for m in metrics.REGISTRY.collect() if m.name == "memoria_stage_seconds"]
        samples = [s for m in told for s in m.samples if s.name.endswith("_count")]
        return {sample.labels["stage"]: sample.value for sample in samples}

    before = counts()
    find_faces_in_photo(engine, photo("events/sitcom/IMG_0001.png"))
    for stage in ("decode", "detect", "align", "embed"):
        assert counts()[stage] == before.get(stage, 0) + 1


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_small_faces_of_a_turned_photo_are_cropped_from_the_full_one(
    engine: Engine, kind: str, orientation: int
) -> None:
    image = decode_image(photo("photos/selfie_6_faces.jpg"))
    factor = 2600 / max(image.shape[:2])
    large = np.asarray(cv2.resize(image, None, fx=factor, fy=factor), np.uint8)
    upright = Image.fromarray(large)
    tags = Image.Exif()
    tags[0x0112] = orientation
    stored = upright.transpose(STORED[orientation])
    buffer = io.BytesIO()
    stored.save(buffer, kind, exif=tags.tobytes(), compress_level=1, quality=92)
    found, width, height = find_faces_in_photo(engine, buffer.getvalue())
    assert (width, height) == upright.size
    expected = engine.find_faces(large)
    similar = np.array([[a.embedding @ b.embedding for b in found] for a in expected])
    assert len(found) == len(expected) == 6
    assert similar.max(axis=1).min() > 0.9


def test_the_cap_keeps_the_best(engine: Engine) -> None:
    few = open_engine(SMALL_PACK, max_faces=3, threads=2)
    image = decode_image(photo("photos/selfie_6_faces.jpg"))
    assert [f.score for f in few.find_faces(image)] == [f.score for f in engine.find_faces(image)][
        :3
    ]


@pytest.mark.parametrize("shape", [(1, 1), (1, 30_000), (30_000, 1), (16, 16), (600, 800)])
def test_a_picture_without_faces_has_none(engine: Engine, shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (*shape, 3), np.uint8)
    assert engine.find_faces(noise) == []
    assert engine.find_faces(np.full((*shape, 3), 128, np.uint8)) == []


def test_several_threads_get_what_one_gets(engine: Engine) -> None:
    image = decode_image(photo("events/sitcom/IMG_0034.jpg"))
    alone = [f.score for f in engine.find_faces(image)]
    results: list[list[float]] = []
    threads = [
        threading.Thread(target=lambda: results.append([f.score for f in engine.find_faces(image)]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [alone] * 4
