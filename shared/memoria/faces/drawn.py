"""The face in a box that a user drew: one that no look at the whole photo found.

Somebody has said that a face is there, so much fainter candidates count than in a search; and the
box says how large it is, so it is seen near, in three sizes and from four sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memoria.arrays import F32, Box, Image
from memoria.faces.canvas import look, resized, turned
from memoria.faces.detector import Detector
from memoria.faces.geometry import Detections, intersections, joined, turned_back
from memoria.media import LoadedPhoto

FAINTEST = 0.1  # the score of a candidate that counts
OVERLAP = 0.3  # intersection over union with the drawn box: people draw loosely
SIZES_PX = (48, 80, 128)  # of the face on the canvas
AROUND = 1.0  # times the box's longer side that is seen on each side of it
MOST_PIXELS = 4_000_000  # of a part that is read at full size
SEEN_PX = 192  # of a box's longer side in what is kept of it: more than any look or crop takes


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What is looked at of a drawn box: the box and its surroundings, reduced where they are large.

    Views are kept when the photo's own memory is given back: looking at fifty takes long.
    """

    image: Image
    box: F32  # (4,) x1 y1 x2 y2, pixels of the image
    corner: tuple[float, float]  # where it begins in the photo: x, y, pixels
    scale: float  # pixels of the photo for one of the image


def views(loaded: LoadedPhoto, boxes: Sequence[F32]) -> list[View]:
    """One of each box, (4,) x y w h in fractions: of a part too large to be read, of the frame."""
    size = loaded.photo.size
    parts = [_around(box, size) for box in boxes]
    near = [i for i, part in enumerate(parts) if _area(part) <= MOST_PIXELS]
    regions = loaded.regions([parts[i] for i in near]) if near else []
    seen = {
        i: _view(image, boxes[i], size, parts[i][:2], 1)
        for i, image in zip(near, regions, strict=True)
    }
    for i, part in enumerate(parts):
        if i not in seen:
            image, corner = _in_frame(loaded, part)
            seen[i] = _view(image, boxes[i], size, corner, loaded.reduction)
    return [seen[i] for i in range(len(boxes))]


def _around(box: F32, size: tuple[int, int]) -> Box:
    """What is seen of a photo, of a box in fractions."""
    extent = np.array(size, np.float64)
    corner, sides = box[:2] * extent, box[2:] * extent
    margin = AROUND * sides.max()
    low = np.clip(np.floor(corner - margin), 0, extent - 1).astype(int)
    high = np.clip(np.ceil(corner + sides + margin), low + 1, extent).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _area(part: Box) -> int:
    left, top, right, bottom = part
    return (right - left) * (bottom - top)


def _in_frame(loaded: LoadedPhoto, part: Box) -> tuple[Image, tuple[int, int]]:
    """A part of the photo as the frame shows it, and where that begins in the photo."""
    (x, y), scale, (height, width) = loaded.corner, loaded.reduction, loaded.frame.shape[:2]
    left, right = np.clip([(part[0] - x) // scale, -(-(part[2] - x) // scale)], 0, width)
    top, bottom = np.clip([(part[1] - y) // scale, -(-(part[3] - y) // scale)], 0, height)
    return loaded.frame[top:bottom, left:right], (int(left) * scale + x, int(top) * scale + y)


def _view(
    image: Image, box: F32, size: tuple[int, int], corner: tuple[int, int], scale: int
) -> View:
    """Of a part that begins at ``corner``, 1 / scale of the photo."""
    corners = np.append(box[:2], box[:2] + box[2:]) * np.tile(size, 2) - np.tile(corner, 2)
    place = (corners / scale).astype(np.float32)
    less = min(1.0, SEEN_PX / max(float(np.max(place[2:] - place[:2])), 1.0))
    return View(resized(image, less), place * np.float32(less), corner, scale / less)


def face_in(detector: Detector, image: Image, box: F32) -> Detections:
    """The likeliest face at a box, if there is one. (h, w, 3), (4,) x1 y1 x2 y2 -> 0 or 1 faces."""
    height, width = image.shape[:2]
    longer = max(float(np.max(box[2:] - box[:2])), 1.0)
    ways = []
    for quarters in range(4):  # a network is half sure of faces that lie on their side, too
        there = turned(image, quarters)
        seen = joined([look(detector, there, px / longer, FAINTEST) for px in SIZES_PX])
        ways.append(turned_back(seen, quarters, width, height))
    found = joined(ways)
    found = found.take(_overlaps(box, found.boxes) >= OVERLAP)
    return found.take(np.argsort(-found.scores, kind="stable")[:1])


def _overlaps(box: F32, boxes: F32) -> F32:
    both = intersections(box, boxes)
    areas = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    overlaps: F32 = both / np.maximum(areas + np.prod(box[2:] - box[:2]) - both, 1e-9)
    return overlaps
