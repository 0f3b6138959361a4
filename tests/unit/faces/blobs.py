"""In the detector's place: sees white blobs as faces, upright ones where they are brightest."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from memoria.arrays import Image
from memoria.faces.geometry import NOTHING, Detections, joined
from memoria.packs.pack import DetectionScale


@dataclass
class BlobDetector:
    """A blob's lower half is grey where it stands upright: its score is 0.9 then, else 0.3."""

    fixed_size: tuple[int, int] | None = None
    scale = DetectionScale(face=0.5, settled=0.8, upright=0.8, hint=0.05, clearly=0.1, quick=0.4)
    shown: list[tuple[int, int]] = field(default_factory=list)  # width, height of the canvases

    def canvas_size(self, width: int, height: int) -> tuple[int, int]:
        return self.fixed_size or (-(-width // 32) * 32, -(-height // 32) * 32)

    def detect(self, canvas: Image, threshold: float) -> Detections:
        self.shown.append((canvas.shape[1], canvas.shape[0]))
        bright = (canvas[..., 0] > 140).astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(bright)
        return joined([NOTHING, *(_seen(canvas, *stats[i, :4]) for i in range(1, count))])


def _seen(canvas: Image, x: int, y: int, width: int, height: int) -> Detections:
    blob = canvas[y : y + height, x : x + width, 0].astype(float)
    upright = (
        blob[: height // 2].mean() > blob[-(height // 2) :].mean() + 10 if height > 1 else False
    )
    box = np.array([[x, y, x + width, y + height]], np.float32)
    eyes, mouth = y + height * 0.3, y + height * 0.8
    left, right, middle = x + width * 0.25, x + width * 0.75, x + width / 2
    points = [(left, eyes), (right, eyes), (middle, y + height / 2), (left, mouth), (right, mouth)]
    score = np.array([0.9 if upright else 0.3], np.float32)
    return Detections(box, score, np.array([points], np.float32))


def with_blob(image: Image, x: int, y: int, side: int, quarters: int = 0) -> Image:
    """The image with one more face, its left top corner here, turned clockwise."""
    face = np.full((side, side), 255, np.uint8)
    face[side // 2 :] = 200
    image[y : y + side, x : x + side] = np.rot90(face, -quarters)[..., None]
    return image
