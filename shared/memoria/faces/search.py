"""Which looks at a photo find all its faces: two at its own aspect ratio, more when they can pay.

The figures behind each rule are printed by ``python -m benchmarks.find_faces``; the rules are
argued in docs/faces.md.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from memoria.arrays import Image
from memoria.faces.detector import Detector
from memoria.faces.geometry import Detections, joined, suppressed, turned_back
from memoria.faces.second_look import reconsidered

CLOSE_UP_PX = 128  # long side of the pass that sees faces which fill the photo
_QUICK_FACE_PX = 64  # the looks that only tell how the photo lies show the best face in this size
_TINY_PX = 24  # faces this small on the main canvas, and so many of them, announce a crowd
_CROWD = 3
_HINT = 0.6  # of the threshold: a score that makes a tiny face a hint at a crowd, if no face
_OVERLAP_PX = 64  # of the tiles of the crowd pass: twice as large as the faces it is for
_TURNS = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)


@dataclass(frozen=True, slots=True)
class Search:
    """How to look for faces."""

    detector: Detector
    det_size: int = 640  # long side of the main pass, pixels
    threshold: float = 0.5

    def __call__(self, image: Image) -> Detections:
        """Faces at or over the threshold, best first, in the image's pixels."""
        candidates = replace(self, threshold=_HINT * self.threshold)
        found, turns = candidates.plain(image), 0
        if found.scores.max(initial=0) < self.detector.scale.upright:
            found, turns = self._best_turned(image, candidates, found)
        upright = _turned(image, turns)
        crowd = self._is_crowd(upright, found)
        found = reconsidered(self.detector, upright, found, self.threshold)
        if crowd:
            found = suppressed(joined([found, *self._tiles(upright)]))
        return turned_back(found, turns, image.shape[1], image.shape[0])

    def plain(self, image: Image) -> Detections:
        """The main pass, and the small one for close-ups."""
        sides = {self.det_size, CLOSE_UP_PX}  # one look, where both are the same
        return suppressed(joined([self._look(image, side) for side in sides]))

    def _best_turned(
        self, image: Image, candidates: "Search", found: Detections
    ) -> tuple[Detections, int]:
        """The candidates at the orientation that explains the photo best, and its quarter turns.

        Detectors see faces that lie on their side, but with low scores, and give upside-down
        ones the landmarks of upright ones. Four quick looks decide; the best of them also saw
        faces of a size between those of the two plain looks.
        """
        small = _resized(image, min(self.det_size, max(image.shape[:2])))
        quick = replace(candidates, det_size=self._quick_side(image, found))
        looks = [quick.plain(_turned(small, turns)) for turns in range(4)]
        evidence = [self._evidence(look) for look in looks]
        evidence[0] = max(evidence[0], self._evidence(found))
        turns = int(np.argmax(evidence))
        if turns:
            found = candidates.plain(_turned(image, turns))
        scale = max(image.shape[:2]) / max(small.shape[:2])
        return suppressed(joined([found, looks[turns].scaled(scale)])), turns

    def _quick_side(self, image: Image, found: Detections) -> int:
        """Long side of the looks that tell how the photo lies: less where a close-up was seen."""
        side = round(self.det_size * self.detector.scale.quick)
        if found.scores.max(initial=0) < self.threshold:
            return side
        long_side: int = max(image.shape[:2])
        enough = _QUICK_FACE_PX * long_side / float(found.sizes[0])
        return max(CLOSE_UP_PX, min(side, 32 * math.ceil(enough / 32)))

    def _evidence(self, found: Detections) -> float:
        return float(found.scores[found.scores >= self.threshold].sum())

    def _is_crowd(self, image: Image, candidates: Detections) -> bool:
        """Tiny faces, and pixels left that the main pass did not see.

        Where nothing is certain, one tiny face that is in doubt is hint enough.
        """
        unseen = max(image.shape[:2]) / self.det_size
        tiny = int((candidates.sizes < _TINY_PX * unseen).sum())
        least = _CROWD if (candidates.scores >= self.threshold).any() else 1
        return unseen > 1.25 and tiny >= least

    def _tiles(self, image: Image) -> Iterator[Detections]:
        """Four overlapping quarters at twice the main pass's scale: memory stays that of one."""
        large = _resized(image, min(2 * self.det_size, max(image.shape[:2])))
        scale = large.shape[1] / image.shape[1], large.shape[0] / image.shape[0]
        height, width = (-(-side // 2) + _OVERLAP_PX // 2 for side in large.shape[:2])
        for y in (0, max(0, large.shape[0] - height)):
            for x in (0, max(0, large.shape[1] - width)):
                tile = large[y : y + height, x : x + width]
                yield self._detect(tile).moved(x, y).scaled(*(1 / s for s in scale))

    def _look(self, image: Image, long_side: int) -> Detections:
        """Small photos are enlarged: the same photo in another size has the same faces."""
        small = _resized(image, long_side)
        back = image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]
        return self._detect(small).scaled(*back)

    def _detect(self, image: Image) -> Detections:
        """The image at the top left of a black canvas of a size that the detector takes."""
        height, width = image.shape[:2]
        canvas_width, canvas_height = self.detector.canvas_size(width, height)
        fit = min(canvas_width / width, canvas_height / height)
        if fit < 1:
            small = _resized(image, max(1, int(fit * max(width, height))))
            return self._detect(small).scaled(width / small.shape[1], height / small.shape[0])
        canvas = np.zeros((canvas_height, canvas_width, 3), np.uint8)
        canvas[:height, :width] = image
        return self.detector.detect(canvas, self.threshold)


def _resized(image: Image, long_side: int) -> Image:
    scale = long_side / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return cv2.resize(image, (width, height))  # type: ignore[return-value]


def _turned(image: Image, quarters: int) -> Image:
    """Clockwise; the image itself for none."""
    return cv2.rotate(image, _TURNS[quarters - 1]) if quarters else image  # type: ignore[return-value]
