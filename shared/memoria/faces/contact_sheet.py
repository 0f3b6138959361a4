"""Many places of one photo, each seen near, side by side on one canvas.

A detector tells faces from what is none far better in the middle of a small view of its own, with
nothing else in it, than somewhere in a large photo; and a hundred such views cost one pass.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memoria.arrays import F32, Image
from memoria.faces.canvas import turned, view
from memoria.faces.detector import Detector
from memoria.faces.geometry import Detections, joined, turned_back

_SHEET_PX = 640  # long and wide, at most: as large as the largest main pass
FAINTEST = 0.05  # a score that counts


@dataclass(frozen=True, slots=True)
class Nearness:
    """How a face is seen alone: the view's side and the face's size in it, pixels."""

    side: int
    face: int
    off: float = 0.4  # of its size, by which its centre may be elsewhere on second sight
    times: float = 2.0  # by which its size may differ


GLANCE = Nearness(48, 22)  # tells faces from what is none; 170 views cost one pass
CLOSE = Nearness(64, 28)  # tells also how a face lies; 100 views


def seen_near(
    detector: Detector, image: Image, found: Detections, near: Nearness, *, quarters: int = 0
) -> Detections:
    """Each face as a near look sees it: row by row as in ``found``, score 0 where none is seen.

    For the look every place is turned ``quarters`` × 90° clockwise.
    """
    centres: F32 = np.clip(found.boxes.reshape(-1, 2, 2).mean(axis=1), 0, image.shape[1::-1])
    scales = near.face / np.maximum(found.sizes, 1)
    views = [
        turned(view(image, centre, float(scale), near.side), quarters)
        for centre, scale in zip(centres, scales, strict=True)
    ]
    result = [found.take(slice(0, 0))]
    for i, seen in enumerate(side_by_side(detector, views, near.side)):
        face = middle_one(seen, near)
        if not len(face):
            row = found.take(slice(i, i + 1))
            face = Detections(row.boxes, np.zeros(1, np.float32), row.landmarks)
        else:
            face = turned_back(face, quarters, near.side, near.side)
            corner = centres[i] * scales[i] - near.side / 2
            face = face.moved(*corner).scaled(1 / float(scales[i]))
        result.append(face)
    return joined(result)


def side_by_side(detector: Detector, views: list[Image], side: int) -> Iterator[Detections]:
    """What is seen in each view, in its own pixels; as few canvases as they fit on."""
    width, height = detector.fixed_size or (_SHEET_PX, _SHEET_PX)
    columns, rows = width // side, height // side
    for at in range(0, len(views), columns * rows):
        some = views[at : at + columns * rows]
        used = math.ceil(len(some) / math.ceil(len(some) / columns))  # rows as full as can be
        places = [(side * (i % used), side * (i // used)) for i in range(len(some))]
        size = detector.canvas_size(used * side, places[-1][1] + side)
        sheet = np.zeros((size[1], size[0], 3), np.uint8)
        for (x, y), one in zip(places, some, strict=True):
            sheet[y : y + side, x : x + side] = one
        seen = detector.detect(sheet, FAINTEST)
        yield from (seen.moved(-x, -y) for x, y in places)


def middle_one(seen: Detections, near: Nearness) -> Detections:
    """The most certain face in the middle of a view, if there is one."""
    centres = seen.boxes.reshape(-1, 2, 2).mean(axis=1)
    middle = np.abs(centres - near.side / 2).max(axis=1) < near.off * near.face
    similar = np.abs(np.log(np.maximum(seen.sizes, 1) / near.face)) < math.log(near.times)
    candidates = np.flatnonzero(middle & similar)
    return seen.take(candidates[np.argsort(-seen.scores[candidates], kind="stable")[:1]])
