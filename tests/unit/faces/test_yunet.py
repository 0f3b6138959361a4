"""YuNet and SFace in our engine give what OpenCV's own classes give for the published files."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from local.demo.sample_event import group_photo, write_sample_event
from memoria.arrays import Image
from memoria.faces import Engine, open_engine
from memoria.faces.crops import aligned_crop
from memoria.faces.geometry import crop_transforms, suppressed
from memoria.media import decode_image
from memoria.packs.catalogue import PACKS

PACK = PACKS["yunet_sface1_int8"]
OVERLAP, THRESHOLD = 0.3, 0.5


@pytest.fixture(scope="module")
def engine(offline_pack: Path) -> Engine:
    return open_engine(offline_pack, threads=2)


@pytest.fixture(scope="module")
def canvases(tmp_path_factory: pytest.TempPathFactory) -> list[Image]:
    """Photos of the sample event in sizes that both take: multiples of 32."""
    folder = tmp_path_factory.mktemp("event")
    write_sample_event(folder)
    found = []
    for path in sorted(folder.iterdir())[:9]:
        image = decode_image(path.read_bytes())
        scale = 640 / max(image.shape[:2])
        height, width = (max(32, int(side * scale) // 32 * 32) for side in image.shape[:2])
        found.append(np.asarray(cv2.resize(image, (width, height)), np.uint8))
    return found


def opencv_faces(offline_pack: Path, canvas: Image) -> np.ndarray:
    """(n, 15) x y w h, five points, score; best first."""
    height, width = canvas.shape[:2]
    detector = cv2.FaceDetectorYN.create(
        str(offline_pack / PACK.detector.source), "", (width, height), THRESHOLD, OVERLAP, 5000
    )
    _, faces = detector.detect(canvas[:, :, ::-1].copy())
    found = np.zeros((0, 15), np.float32) if faces is None else faces
    return found[np.argsort(-found[:, 14], kind="stable")]


@pytest.fixture(scope="module")
def pairs(engine: Engine, offline_pack: Path, canvases: list[Image]):
    return [
        (
            canvas,
            suppressed(engine.search.detector.detect(canvas, THRESHOLD), OVERLAP),
            opencv_faces(offline_pack, canvas),
        )
        for canvas in canvases
    ]


def test_boxes_points_and_scores_are_opencvs(pairs) -> None:
    assert sum(len(theirs) for _, _, theirs in pairs) >= 30
    for _, ours, theirs in pairs:
        assert len(ours) == len(theirs)
        sizes = ours.boxes[:, 2:] - ours.boxes[:, :2]
        np.testing.assert_allclose(ours.boxes[:, :2], theirs[:, :2], atol=0.5)
        np.testing.assert_allclose(sizes, theirs[:, 2:4], atol=0.5)
        np.testing.assert_allclose(ours.landmarks.reshape(-1, 10), theirs[:, 4:14], atol=0.5)
        np.testing.assert_allclose(ours.scores, theirs[:, 14], atol=1e-3)


def test_vectors_are_opencvs_for_the_same_crop(engine: Engine, offline_pack: Path, pairs) -> None:
    recogniser = cv2.FaceRecognizerSF.create(str(offline_pack / PACK.recogniser.source), "")
    cosines, aligned = [], []
    for canvas, ours, theirs in pairs:
        for transform, face in zip(crop_transforms(ours.landmarks), theirs, strict=True):
            crop = recogniser.alignCrop(canvas[:, :, ::-1].copy(), face)
            (vector,) = recogniser.feature(crop).copy()
            (same,) = engine.recogniser.embed(crop[None, :, :, ::-1])
            (own,) = engine.recogniser.embed(aligned_crop(canvas, transform)[None])
            assert not same[128:].any()
            cosines.append(cosine(same[:128], vector))
            aligned.append(cosine(own[:128], vector))
    assert min(cosines) >= 0.9999
    assert min(aligned) >= 0.99  # our crop: the same landmarks, another interpolation


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_the_six_of_the_group_photo_are_found_and_told_apart(engine: Engine) -> None:
    faces = engine.find_faces(decode_image(group_photo().read_bytes()))
    assert len(faces) == 6
    vectors = np.stack([face.embedding for face in faces])
    assert vectors.shape == (6, 512)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors @ vectors.T)[~np.eye(6, dtype=bool)].max() < 0.4  # `sure` is higher
