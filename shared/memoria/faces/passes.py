"""Which looks at a photo find all its faces: one at its own aspect ratio, more when they pay."""

from dataclasses import dataclass

import cv2
import numpy as np

from memoria.faces.detector import Detector
from memoria.faces.geometry import Detections, joined, suppressed, turned_back
from memoria.faces.types import Image

_SMALL_PX = 128  # long side of the pass that sees close-ups
_TURNS = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)


@dataclass(frozen=True, slots=True)
class Search:
    """How to look for faces."""

    detector: Detector
    det_size: int = 640  # long side of the main pass, pixels
    threshold: float = 0.5

    def __call__(self, image: Image) -> Detections:
        """Faces at or over the threshold, best first, in the image's pixels."""
        found = suppressed(joined([self._look(image, self.det_size), self._look(image, _SMALL_PX)]))
        if not len(found):
            found = self._turned(image)
        return found

    def _turned(self, image: Image) -> Detections:
        small, scale = _resized(image, self.det_size)
        parts = []
        for quarters, code in enumerate(_TURNS, start=1):
            part = self.detector.detect(
                self._canvas(np.asarray(cv2.rotate(small, code), np.uint8)), self.threshold
            )
            turned = turned_back(part, quarters, small.shape[1], small.shape[0])
            parts.append(turned.scaled(1 / scale))
        return suppressed(joined(parts))

    def _look(self, image: Image, long_side: int) -> Detections:
        small, scale = _resized(image, long_side)
        return self.detector.detect(self._canvas(small), self.threshold).scaled(1 / scale)

    def _canvas(self, image: Image) -> Image:
        """The image at the top left of a black canvas as large as the detector takes."""
        multiple = self.detector.multiple
        height, width = (-(-side // multiple) * multiple for side in image.shape[:2])
        canvas = np.zeros((height, width, 3), np.uint8)
        canvas[: image.shape[0], : image.shape[1]] = image
        return canvas


def _resized(image: Image, long_side: int) -> tuple[Image, float]:
    scale = long_side / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return cv2.resize(image, (width, height)), scale  # type: ignore[return-value]
