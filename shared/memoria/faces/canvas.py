"""Images, whole or in part, on the canvases that a detector takes."""

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32, Box, Image
from memoria.faces.detector import Detector
from memoria.faces.geometry import Detections

_BEYOND = 127  # grey beyond the photo's edges: what the detector's own padding is
_AREA_FROM = 1.5  # times that an image shrinks, from which a pixel is a mean and not a sample
_EDGE_PX = 2  # on the canvas; nearer to a tile's edge a face may be cut off
_TURNS = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)


def look(detector: Detector, image: Image, scale: float, threshold: float) -> Detections:
    """Candidates in the image at this scale, before suppression, in the image's pixels.

    Small photos are enlarged: the same photo in another size has the same faces.
    """
    small = resized(image, scale)
    back = image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]
    return _detected(detector, small, threshold).scaled(*back)


def look_by_tiles(
    detector: Detector, image: Image, parts: list[Box], scale: float, threshold: float
) -> Iterator[Detections]:
    """The same tile by tile: memory stays that of one.

    Whom a tile's edge cuts off is left to the tile that has the face whole, if one has.
    """
    for tile in parts:
        left, top, right, bottom = tile
        found = look(detector, image[top:bottom, left:right], scale, threshold).moved(left, top)
        margin = _EDGE_PX / scale
        elsewhere = np.array([_holds(part, margin, found.boxes) for part in parts]).any(axis=0)
        yield found.take(_holds(tile, margin, found.boxes) | ~elsewhere)


def tiles(region: Box, side: int, overlap: int) -> list[Box]:
    """Parts of a region, about ``side`` long and wide without their overlap, all pixels."""
    left, top, right, bottom = region
    return [
        (left + x, top + y, left + x2, top + y2)
        for y, y2 in _spans(bottom - top, side, overlap)
        for x, x2 in _spans(right - left, side, overlap)
    ]


def view(image: Image, centre: F32, scale: float, side: int) -> Image:
    """(side, side, 3) with the centre (x, y) in its middle, at this scale."""
    reach = math.ceil(side / scale)
    left, top = (max(0, int(at) - reach) for at in centre)
    part = image[top : int(centre[1]) + reach, left : int(centre[0]) + reach]
    x, y = float(centre[0]) - left, float(centre[1]) - top
    while scale < 0.5 and min(part.shape[:2]) > 1:  # a mean of pixels, not a sample of them
        part = halved(part)
        scale, x, y = 2 * scale, x / 2, y / 2
    middle = (side - 1 + scale) / 2  # pixels are counted by their centres here
    place = np.array([[scale, 0, middle - scale * x], [0, scale, middle - scale * y]])
    return cv2.warpAffine(part, place, (side, side), borderValue=(_BEYOND,) * 3)  # type: ignore[return-value]


def resized(image: Image, scale: float) -> Image:
    """At least one pixel high and wide."""
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    how = cv2.INTER_AREA if scale * _AREA_FROM < 1 else cv2.INTER_LINEAR
    while image.shape[0] >= 2 * height and image.shape[1] >= 2 * width and _is_even(image):
        image = halved(image)  # a tenth of what one step to an uneven share costs
    return cv2.resize(image, (width, height), interpolation=how)  # type: ignore[return-value]


def halved(image: Image) -> Image:
    """Each pixel the mean of four; an odd last row or column is left out."""
    height, width = (length // 2 for length in image.shape[:2])
    even = image[: 2 * height, : 2 * width]
    return cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def turned(image: Image, quarters: int) -> Image:
    """Clockwise; the image itself for none."""
    return cv2.rotate(image, _TURNS[quarters - 1]) if quarters else image  # type: ignore[return-value]


def _detected(detector: Detector, image: Image, threshold: float) -> Detections:
    """The image at the top left of a black canvas of a size that the detector takes."""
    height, width = image.shape[:2]
    canvas_width, canvas_height = detector.canvas_size(width, height)
    fit = min(canvas_width / width, canvas_height / height)
    if fit < 1:
        long = max(width, height)
        return look(detector, image, max(1, math.floor(fit * long)) / long, threshold)
    canvas = np.zeros((canvas_height, canvas_width, 3), np.uint8)
    canvas[:height, :width] = image
    return detector.detect(canvas, threshold)


def _is_even(image: Image) -> bool:
    return all(length % 2 == 0 for length in image.shape[:2])


def _spans(length: int, side: int, overlap: int) -> list[tuple[int, int]]:
    """Begin and end of equal parts of a length, each overlapping the next by as much."""
    count = max(1, math.ceil((length - overlap) / side))
    part = math.ceil((length + (count - 1) * overlap) / count)
    starts = [min(i * (part - overlap), length - part) for i in range(count)]
    return [(start, start + part) for start in starts]


def _holds(tile: Box, margin: float, boxes: F32) -> NDArray[np.bool_]:
    """(n,) whether a tile has a box whole, and a margin around it."""
    begins = boxes[:, :2] >= np.array(tile[:2]) + margin
    ends = boxes[:, 2:] <= np.array(tile[2:]) - margin
    return np.asarray(np.all(begins & ends, axis=1))
