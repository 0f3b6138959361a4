"""How a photo lies, and who in it lies otherwise.

Detectors see faces that lie on their side, but with low scores, and give upside-down ones the
landmarks of upright ones. "Nothing found" is too late a sign; and one photo may hold people who lie
in several ways: a collage, or a head upside down in a group.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32, Image
from memoria.faces.canvas import resized, turned
from memoria.faces.contact_sheet import CLOSE, seen_near
from memoria.faces.detector import Detector
from memoria.faces.geometry import Detections, joined, suppressed
from memoria.faces.looks import CLOSE_UP_PX, Looks

_QUICK_FACE_PX = 64  # the looks that only tell how the photo lies show the best face in this size
_LARGE_PX = 64  # on the canvas; faces as large score over _LARGE_SCORE, however they lie
_LARGE_SCORE = 0.6  # of the threshold
_LEAST_SCORE = 0.2  # of the threshold, for smaller ones
_GLANCE_SCORE = 0.4  # of the threshold; 99 of 100 hints that are no faces score less on a near look
_MOST_UPRIGHT, _MOST_OTHERWISE = 100, 33  # looks that fill one contact sheet


@dataclass(frozen=True, slots=True, eq=False)
class ByOrientation:
    """Faces of one look at a photo, apart by how they lie in it."""

    upright: Detections
    others: Detections
    turns: frozenset[int]  # quarter turns clockwise that would set the others upright


def together(parts: Sequence[ByOrientation]) -> ByOrientation:
    """The faces of several looks, each face once."""
    return ByOrientation(
        suppressed(joined([part.upright for part in parts])),
        suppressed(joined([part.others for part in parts])),
        frozenset[int]().union(*(part.turns for part in parts)),
    )


def photo_turns(
    looks: Looks, image: Image, found: Detections, threshold: float
) -> tuple[int, Detections]:
    """Quarter turns clockwise that set a photo upright, and the candidates in it so turned.

    Four quick looks decide; the best of them also saw faces of a size between those of the main
    look and the one for close-ups. ``found``: candidates in the photo as it is.
    """
    small = resized(image, min(1, looks.det_size / max(image.shape[:2])))
    side = _quick_side(looks, image, found, threshold)
    quick = [looks.quick(small, side)]  # ``found`` has the close-ups of this one
    quick += [looks.quick(turned(small, turns), side, CLOSE_UP_PX) for turns in (1, 2, 3)]
    evidence = [_evidence(seen, threshold) for seen in quick]
    evidence[0] = max(evidence[0], _evidence(found, threshold))
    turns = int(np.argmax(evidence))
    if turns:
        found = looks.main(turned(image, turns))
    back = max(image.shape[:2]) / max(small.shape[:2])
    return turns, suppressed(joined([found, quick[turns].scaled(back)]))


def may_be_turned(
    detector: Detector, found: Detections, scale: float, threshold: float
) -> NDArray[np.bool_]:
    """(n,) who may lie otherwise than the photo: seen, but with a doubt, and no part of a face.

    ``scale``: of the look that found them.
    """
    sure = detector.scale.upright
    large = found.sizes * scale >= _LARGE_PX
    likely = found.scores >= threshold * np.where(large, _LARGE_SCORE, _LEAST_SCORE)
    return likely & (found.scores < sure) & ~found.centred_in(found.take(found.scores >= sure))


def glance_may_be_turned(
    detector: Detector, glances: Detections, threshold: float
) -> NDArray[np.bool_]:
    """(n,) the same of faces that were glanced at: what is none scores next to nothing there."""
    scores = glances.scores
    return (scores >= _GLANCE_SCORE * threshold) & (scores < detector.scale.upright)


def turned_faces(
    detector: Detector, image: Image, found: Detections, asked: NDArray[np.bool_], threshold: float
) -> tuple[NDArray[np.intp], Detections]:
    """Who of the found, among those who are asked, lies otherwise: seen near in all four ways.

    -> (n,) quarter turns clockwise that would set each upright; and the faces of those with one to
    three, as seen so turned, in the image's pixels.
    """
    sure = detector.scale.upright
    order = np.argsort(-found.scores, kind="stable")
    rows = order[asked[order]][:_MOST_UPRIGHT]
    upright = seen_near(detector, image, found.take(rows), CLOSE)
    doubtful = np.flatnonzero(upright.scores < sure)[:_MOST_OTHERWISE]
    rows = rows[doubtful]
    looks = [upright.take(doubtful)]
    looks += [seen_near(detector, image, found.take(rows), CLOSE, quarters=q) for q in (1, 2, 3)]
    scores: F32 = np.stack([look.scores for look in looks])
    clear = scores.max(axis=0) >= np.maximum(
        (threshold + sure) / 2, scores[0] + detector.scale.clearly
    )
    best = np.where(clear, scores.argmax(axis=0), 0)
    turns = np.zeros(len(found), np.intp)
    turns[rows] = best
    return turns, joined([look.take(best == turn) for turn, look in enumerate(looks) if turn])


def _quick_side(looks: Looks, image: Image, found: Detections, threshold: float) -> int:
    """Long side of the looks that tell how the photo lies: less where a close-up was seen."""
    side = round(looks.det_size * looks.detector.scale.quick)
    if found.scores.max(initial=0) < threshold:
        return side
    long_side: int = max(image.shape[:2])
    enough = _QUICK_FACE_PX * long_side / float(found.sizes[0])
    return max(CLOSE_UP_PX, min(side, 32 * math.ceil(enough / 32)))


def _evidence(found: Detections, threshold: float) -> float:
    return float(found.scores[found.scores >= threshold].sum())
