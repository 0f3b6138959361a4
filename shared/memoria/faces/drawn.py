"""The face in a box that a user drew: one that no look at the whole photo found.

Somebody has said that a face is there, so much fainter candidates count than in a search; and the
box says how large it is, so it is seen near, in three sizes and from four sides.
"""

import numpy as np

from memoria.arrays import F32, Image
from memoria.faces.canvas import look, turned
from memoria.faces.detector import Detector
from memoria.faces.geometry import Detections, intersections, joined, turned_back

FAINTEST = 0.1  # the score of a candidate that counts
OVERLAP = 0.3  # intersection over union with the drawn box: people draw loosely
SIZES_PX = (48, 80, 128)  # of the face on the canvas
AROUND = 1.0  # times the box's longer side that is seen on each side of it
MOST_PIXELS = 4_000_000  # of a part that is read at full size


def part_around(box: F32, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """What is seen of a photo. (4,) x y w h in fractions -> left, top, right, bottom, pixels."""
    extent = np.array(size, np.float64)
    corner, sides = box[:2] * extent, box[2:] * extent
    margin = AROUND * sides.max()
    low = np.clip(np.floor(corner - margin), 0, extent - 1).astype(int)
    high = np.clip(np.ceil(corner + sides + margin), low + 1, extent).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def area_of(part: tuple[int, int, int, int]) -> int:
    """Left, top, right, bottom -> pixels."""
    left, top, right, bottom = part
    return (right - left) * (bottom - top)


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
