"""Where a photo is looked at, and in which scale."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from memoria.arrays import Box, Image
from memoria.faces.canvas import look, look_by_tiles, tiles
from memoria.faces.detector import Detector
from memoria.faces.geometry import Detections, joined, suppressed

CLOSE_UP_PX = 128  # long side of the look that sees faces which fill the photo
_SHORT = 0.75  # of det_size: the short side of a main pass, however long the photo
_LONG = 2.5  # times as long as wide: from here on a photo is looked at by windows
_MOST_WINDOWS = 16
_OVERLAP_PX = 64  # of tiles: more than the faces they are for


@dataclass(frozen=True, slots=True)
class Looks:
    """Candidates by one detector, from the score of a hint on, in the image's pixels."""

    detector: Detector
    det_size: int  # long side of the main pass on a 4:3 photo, pixels

    def scale(self, width: int, height: int) -> float:
        """Pixels on the canvas of a main pass for one of a photo of this size."""
        long, short = max(width, height), min(width, height)
        scale = max(self.det_size / long, _SHORT * self.det_size / short)
        if _is_long(width, height):
            return min(scale, _MOST_WINDOWS * self.det_size / long)
        canvas = self.detector.fixed_size or (math.inf, math.inf)
        return min(scale, canvas[0] / width, canvas[1] / height)

    def main(self, image: Image) -> Detections:
        """The main pass, and the small one for close-ups; by windows, where the photo is long."""
        height, width = image.shape[:2]
        scale = self.scale(width, height)
        if not _is_long(width, height):
            return self.quick(image, scale * max(width, height), CLOSE_UP_PX)
        windows = self._by_tiles(image, (0, 0, width, height), scale, min(width, height) // 3)
        return suppressed(joined([self.quick(image, self.det_size, CLOSE_UP_PX), *windows]))

    def quick(self, image: Image, *long_sides: float) -> Detections:
        """The whole image, its long side as long; each length once."""
        long, hint = max(image.shape[:2]), self.detector.scale.hint
        seen = [look(self.detector, image, side / long, hint) for side in set(long_sides)]
        return suppressed(joined(seen))

    def by_tiles(self, image: Image, region: Box, scale: float) -> Iterator[Detections]:
        """A region at another scale, tile by tile."""
        return self._by_tiles(image, region, scale, round(_OVERLAP_PX / scale))

    def _by_tiles(
        self, image: Image, region: Box, scale: float, overlap: int
    ) -> Iterator[Detections]:
        parts = tiles(region, round(self.det_size / scale) - overlap, overlap)
        for found in look_by_tiles(self.detector, image, parts, scale, self.detector.scale.hint):
            yield suppressed(found)


def _is_long(width: int, height: int) -> bool:
    return max(width, height) > _LONG * min(width, height)
