import cv2
import numpy as np

from memoria.arrays import F32, Image
from memoria.faces.geometry import CROP_LANDMARKS, Detections
from memoria.faces.quality import FEATURES, face_quality, features

MODEL = "scrfd2.5g_mobilefacenet"


def face(score: float = 0.9, size: float = 1.0, tilt: float = 0.0) -> Detections:
    """A face ``size`` crops large, its nose lower by a share of its height."""
    landmarks = CROP_LANDMARKS.copy()
    landmarks[2, 1] += tilt * 40
    return Detections(
        np.array([[0, 0, 112 * size, 112 * size]], np.float32),
        np.array([score], np.float32),
        (landmarks * size)[None],
    )


def crop() -> Image:
    noise = np.random.default_rng(0).integers(0, 255, (112, 112, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 1), np.uint8)


def one(
    found: Detections, image: Image | None = None, norm: float = 11.0, model: str = MODEL
) -> float:
    lengths: F32 = np.array([norm], np.float32)
    return float(face_quality(found, [crop() if image is None else image], lengths, model)[0])


def test_quality_is_a_chance() -> None:
    for model in (MODEL, "unheard of"):
        for found in (face(), face(score=0.5, size=0.1, tilt=2)):
            assert 0 <= one(found, model=model) <= 1


def test_what_makes_a_face_worse_never_raises_its_quality() -> None:
    best = one(face())
    blurred = np.asarray(cv2.GaussianBlur(crop(), (0, 0), 4), np.uint8)
    assert one(face(size=0.2)) < best
    assert one(face(), image=blurred) < best
    assert one(face(), norm=8) < best
    assert one(face(score=0.6)) < best
    assert one(face(tilt=0.8)) < best


def test_without_a_usual_length_the_length_says_nothing() -> None:
    assert one(face(), norm=1, model="unheard of") == one(face(), norm=99, model="unheard of")
    assert one(face(score=0.95), model="unheard of") > one(face(score=0.6), model="unheard of")


def test_features_are_one_column_each_and_finite_for_a_degenerate_face() -> None:
    found = Detections(
        np.zeros((1, 4), np.float32), np.array([0.5], np.float32), np.zeros((1, 5, 2), np.float32)
    )
    row = features(found, [np.zeros((112, 112, 3), np.uint8)], np.array([0], np.float32), MODEL)
    assert row.shape == (1, len(FEATURES))
    assert np.isfinite(row).all()
