"""A face engine made of dlib, for the demo on a machine where no pack of weights can be had.

Detector: Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection" (2005), as
trained by dlib. Landmarks: Kazemi and Sullivan, "One Millisecond Face Alignment with an Ensemble
of Regression Trees" (2014), 68 points of iBUG 300-W. Descriptor: dlib's ResNet, 128 dimensions.
The weights come inside the PyPI package ``face_recognition_models``; the landmark model's training
data is for non-commercial use only.

dlib's descriptors lie in a narrow cone: strangers have a cosine of 0.83 in the median. With the
mean of many people's faces taken off, the cosines spread as other recognisers' do (645 photos of
LFW; strangers: -0.02 in the median, 0.57 at the 99.9th percentile; the same person: 0.53 at the
5th, 0.74 in the median), and the usual threshold is right for them as well.
"""

import threading
from importlib.util import find_spec
from pathlib import Path

import dlib
import numpy as np

from memoria.arrays import F32, Image
from memoria.faces.types import Face
from memoria.media import Photo

MEAN = Path(__file__).with_name("dlib_mean.txt")
DIMENSIONS = 512  # what the database stores
MIN_SCORE = 0.0
UPSAMPLINGS = 1  # finds faces from 40 pixels on instead of 80
LONG_SIDE_PX = 1600  # the detector's time grows with the area

# of the 68 points, the means of these are the five that recognisers align by
_FIVE = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47), (30,), (48,), (54,))


def weights_folder() -> Path:
    """Where the weights lie; the package itself is not imported: it needs pkg_resources."""
    spec = find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package face_recognition_models is missing")
    return Path(spec.origin).parent / "models"


class DlibEngine:
    """Finds and embeds faces; one photo at a time, whoever asks."""

    model = "dlib"

    def __init__(self) -> None:
        folder = weights_folder()
        self._detector = dlib.get_frontal_face_detector()
        self._landmarks = dlib.shape_predictor(
            str(folder / "shape_predictor_68_face_landmarks.dat")
        )
        self._descriptor = dlib.face_recognition_model_v1(
            str(folder / "dlib_face_recognition_resnet_model_v1.dat")
        )
        self._mean = np.loadtxt(MEAN, dtype=np.float32).ravel()
        self._lock = threading.Lock()

    def find_faces(self, image: Image) -> list[Face]:
        """All faces of an upright (h, w, 3) uint8 RGB photo, best first."""
        with self._lock:
            photo = _reduced(image)
            boxes, scores, _ = self._detector.run(photo, UPSAMPLINGS, MIN_SCORE)
            faces = [self._face(photo, *found) for found in zip(boxes, scores, strict=True)]
        return sorted(faces, key=lambda face: -face.score)

    def find_faces_in(self, photo: Photo) -> list[Face]:
        """The same of a photo that is not decoded yet."""
        return self.find_faces(photo.frame())

    def _face(self, photo: Image, box: dlib.rectangle, score: float) -> Face:
        height, width = photo.shape[:2]
        size = np.array([width, height], np.float32)
        shape = self._landmarks(photo, box)
        points = np.array([(p.x, p.y) for p in shape.parts()], np.float32)
        corners = np.array([[box.left(), box.top()], [box.right() + 1, box.bottom() + 1]]) / size
        corners = np.clip(corners, 0, 1).astype(np.float32)
        landmarks = np.stack([points[list(group)].mean(axis=0) for group in _FIVE]) / size
        vector = np.array(self._descriptor.compute_face_descriptor(photo, shape), np.float32)
        confidence = _confidence(score)
        return Face(
            box=np.concatenate([corners[0], corners[1] - corners[0]]),
            score=confidence,
            quality=confidence * min(1.0, box.width() / 112) ** 0.5,
            landmarks=np.clip(landmarks, 0, 1).astype(np.float32),
            embedding=_unit(vector - self._mean),
        )


def _confidence(score: float) -> float:
    """The detector's margin, about 0..3, as 0..1."""
    return float(1 / (1 + np.exp(-2 * score)))


def _unit(vector: F32) -> F32:
    padded = np.zeros(DIMENSIONS, np.float32)
    padded[: len(vector)] = vector / np.linalg.norm(vector)
    return padded


def _reduced(image: Image) -> Image:
    factor = LONG_SIDE_PX / max(image.shape[:2])
    if factor >= 1:
        return np.ascontiguousarray(image)
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    smaller: Image = dlib.resize_image(image, rows=height, cols=width)
    return smaller
