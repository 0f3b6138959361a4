"""How well a face can be recognised: the chance, 0..1, that it matches its own person.

A linear model of what the detector and recogniser say anyway and of the crop's sharpness, in
the spirit of SER-FIQ (arXiv:2003.09373) and MagFace (arXiv:2103.06627: a vector's length grows
with quality). Fitted by ``python -m benchmarks.quality`` on half of the people of a labelled set,
clean and damaged, and measured on people that the fit has not seen.
"""

import cv2
import numpy as np

from memoria.arrays import F32, Image
from memoria.faces.geometry import Detections, crop_transforms, magnifications

# The usual length of a raw vector of a clean portrait, as the fit measures it.
USUAL_NORMS = {"scrfd2.5g_mobilefacenet": 11.3, "yunet_sface1_int8": 12.3}

FEATURES = ("score", "small", "turned away", "tilted up or down", "sharpness", "length")
COEFFICIENTS: F32 = np.array([1.07, -0.43, 0, -1.38, 0.51, 11.42], np.float32)
BIAS = 4.62
# For models whose usual length nobody has measured: the vector's length says nothing.
COEFFICIENTS_WITHOUT_LENGTH: F32 = np.array([40.29, -0.42, 0, -1.14, 0.8, 0], np.float32)
BIAS_WITHOUT_LENGTH = -32.01


def face_quality(found: Detections, crops: list[Image], norms: F32, model: str) -> F32:
    """(n,) 0..1 for n faces, their crops and the lengths of their raw vectors."""
    columns = features(found, crops, norms, model)
    if model in USUAL_NORMS:
        logits = columns @ COEFFICIENTS + np.float32(BIAS)
    else:
        logits = columns @ COEFFICIENTS_WITHOUT_LENGTH + np.float32(BIAS_WITHOUT_LENGTH)
    chances: F32 = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    return chances


def features(found: Detections, crops: list[Image], norms: F32, model: str) -> F32:
    """(n, 6) the columns of FEATURES; ``found`` in pixels of the full photo."""
    usual = USUAL_NORMS.get(model)
    length = np.log(np.maximum(norms, 1e-6) / usual) if usual else np.zeros(len(found))
    enlarged = magnifications(crop_transforms(found.landmarks))
    small = np.log2(np.clip(enlarged, 1, 16))
    sharpness = [_sharpness(crop) for crop in crops]
    columns = [found.scores, small, *_pose(found.landmarks), sharpness, np.clip(length, -2, 0.5)]
    return np.stack(columns, axis=1).astype(np.float32)


def _pose(landmarks: F32) -> F32:
    """(2, n) how far a face looks aside, and up or down: 0 frontal, about 1 in profile."""
    eyes, mouth = landmarks[:, :2], landmarks[:, 3:]
    middle_of_eyes, middle_of_mouth = eyes.mean(axis=1), mouth.mean(axis=1)
    down = middle_of_mouth - middle_of_eyes
    height = np.maximum(np.linalg.norm(down, axis=1), 1e-6)
    down = down / height[:, None]
    nose = landmarks[:, 2] - middle_of_eyes
    across = np.abs(nose[:, 0] * down[:, 1] - nose[:, 1] * down[:, 0]) / height
    along = np.abs((nose * down).sum(axis=1) / height - 0.5)
    pose: F32 = np.clip(np.stack([across, along]), 0, 1)
    return pose


def _sharpness(crop: Image) -> float:
    """Log of the finest detail's share of the contrast, of the crop's middle."""
    grey = cv2.cvtColor(crop[16:-16, 16:-16], cv2.COLOR_RGB2GRAY)
    detail = float(cv2.Laplacian(grey, cv2.CV_32F).std())
    return float(np.clip(np.log((detail + 0.5) / (grey.std() + 5.0)), -3, 2))
