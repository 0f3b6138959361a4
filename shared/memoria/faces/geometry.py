"""Boxes, landmarks and similarity transforms: arrays in, arrays out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32, Box

CROP_PX = 112
_MARGIN_PX = 2  # around what a crop reads, for interpolation

# Where InsightFace's recognisers expect the landmarks in a crop (``face_align.arcface_dst``).
CROP_LANDMARKS: F32 = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    dtype=np.float32,
)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What a detector found, all in pixels of one frame."""

    boxes: F32  # (n, 4) x1 y1 x2 y2, may reach over the frame's edges
    scores: F32  # (n,) 0..1
    landmarks: F32  # (n, 5, 2) x y

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Detections":
        """These rows, in this order."""
        return Detections(self.boxes[rows], self.scores[rows], self.landmarks[rows])

    def scaled(self, x: float, y: float | None = None) -> "Detections":
        """The same faces in a frame ``x`` times as wide and ``y`` (or ``x``) times as high."""
        factor = np.array([x, x if y is None else y], np.float32)
        return Detections(self.boxes * np.tile(factor, 2), self.scores, self.landmarks * factor)

    def moved(self, x: float, y: float) -> "Detections":
        """The same faces in a frame in which this one's corner lies at (x, y)."""
        shift = np.array([x, y], np.float32)
        return Detections(self.boxes + np.tile(shift, 2), self.scores, self.landmarks + shift)

    @property
    def sizes(self) -> F32:
        """(n,) the geometric mean of width and height, pixels."""
        extent = np.maximum(self.boxes[:, 2:] - self.boxes[:, :2], 0)
        sizes: F32 = np.sqrt(extent.prod(axis=1))
        return sizes

    def centred_in(self, others: "Detections") -> NDArray[np.bool_]:
        """(n,) whose centre lies within a box of the others."""
        centres = self.boxes.reshape(-1, 1, 2, 2).mean(axis=2)
        after = centres >= others.boxes[None, :, :2]
        before = centres <= others.boxes[None, :, 2:]
        inside: NDArray[np.bool_] = (after & before).all(axis=2).any(axis=1)
        return inside


def joined(parts: Sequence[Detections]) -> Detections:
    """One list of several, all in the same frame."""
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.landmarks for part in parts]),
    )


NOTHING = Detections(
    np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 5, 2), np.float32)
)


def suppressed(found: Detections, overlap: float = 0.4) -> Detections:
    """Greedy non-maximum suppression, best first: no two boxes left overlap (IoU) by more.

    0.4 and the pixel that is added to each side are insightface's (``SCRFD.nms``).
    """
    order = np.argsort(-found.scores, kind="stable")
    boxes = found.boxes[order]
    areas = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    alive = np.ones(len(order), bool)
    for i in range(len(order)):
        if alive[i]:
            rest = slice(i + 1, None)
            shared = intersections(boxes[i], boxes[rest])
            alive[rest] &= shared <= overlap * (areas[i] + areas[rest] - shared)
    return found.take(order[alive])


def intersections(box: F32, others: F32) -> F32:
    """Areas shared by one box and (n, 4) others -> (n,), counted in whole pixels as above."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    areas: F32 = np.maximum(high - low + 1, 0).prod(axis=1)
    return areas


def turned_back(found: Detections, quarters: int, width: int, height: int) -> Detections:
    """Found in a frame turned ``quarters`` × 90° clockwise -> in the (width, height) frame."""
    if quarters % 4 == 0:
        return found
    corners = _turn_points(found.boxes.reshape(-1, 2, 2), quarters, width, height)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return Detections(boxes, found.scores, _turn_points(found.landmarks, quarters, width, height))


def mirrored(found: Detections, width: float) -> Detections:
    """The same faces in the frame's mirror image: what is a left eye there, is a right one here."""
    boxes = found.boxes.copy()
    boxes[:, [0, 2]] = width - found.boxes[:, [2, 0]]
    landmarks = found.landmarks[:, [1, 0, 2, 4, 3]].copy()
    landmarks[..., 0] = width - landmarks[..., 0]
    return Detections(boxes, found.scores, landmarks)


def _turn_points(points: F32, quarters: int, width: int, height: int) -> F32:
    x, y = points[..., 0], points[..., 1]
    turns = {1: (y, height - x), 2: (width - x, height - y), 3: (width - y, x)}
    return np.stack(turns[quarters % 4], axis=-1)


def crop_transforms(landmarks: F32) -> F32:
    """Similarity transforms that carry landmarks to where a crop wants them.

    (n, 5, 2) pixels -> (n, 2, 3), least squares. In the plane Umeyama's solution (1991), which
    insightface uses, is one complex division.
    """
    points = _complex(landmarks)
    target = _complex(CROP_LANDMARKS)
    centre = points.mean(axis=1, keepdims=True)
    spread = points - centre
    aim = target - target.mean()
    power = np.maximum((np.abs(spread) ** 2).sum(axis=1), 1e-12)
    turn = (spread.conj() * aim).sum(axis=1) / power
    shift = target.mean() - turn * centre[:, 0]
    rows = [turn.real, -turn.imag, shift.real, turn.imag, turn.real, shift.imag]
    return np.stack(rows, axis=-1).reshape(-1, 2, 3).astype(np.float32)


def magnifications(transforms: F32) -> F32:
    """(n,) how much each crop enlarges the face: over 1 means that the face is smaller than it."""
    scale: F32 = np.hypot(transforms[:, 0, 0], transforms[:, 1, 0])
    return scale


def crop_region(transform: F32, width: int, height: int) -> Box:
    """The part of a (width, height) frame that a crop reads.

    At least one pixel, and within the frame also for a crop that lies outside.
    """
    turn = np.linalg.inv(transform[:, :2].astype(np.float64))
    corners = np.array([[0, 0], [CROP_PX, 0], [0, CROP_PX], [CROP_PX, CROP_PX]])
    points = (corners - transform[:, 2]) @ turn.T
    limit = np.array([width, height])
    low = np.clip(np.floor(points.min(axis=0)) - _MARGIN_PX, 0, limit - 1).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + _MARGIN_PX, low + 1, limit).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def within(box: Box, transform: F32) -> F32:
    """The same crop's transform from a part of the frame instead of the whole."""
    moved = transform.copy()
    moved[:, 2] += transform[:, :2] @ np.array(box[:2], np.float32)
    return moved


def _complex(points: F32) -> NDArray[np.complex128]:
    return points[..., 0].astype(np.float64) + 1j * points[..., 1]
