"""Faces too small for the look that hinted at them.

A face of 10 pixels scores 0.1 to 0.5 in a main pass, and so do twigs and letters. Seen near, nearly
every face scores over 0.7, and what is none under 0.4: docs/decisions/0208-small-faces.md.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import Box, Image
from memoria.faces.contact_sheet import GLANCE, seen_near
from memoria.faces.detector import Detector
from memoria.faces.geometry import Detections, joined, suppressed
from memoria.faces.second_look import reconsidered

_SMALL_PX = 24  # on the canvas; doubtful ones that are smaller are seen near
_FAR_PX = 11  # on the canvas; of those that are smaller some give no hint: one in twenty of 9.6
_SEEN_PX = 12.5  # on the canvas; 99 of 100 that are as large do
_CLEARER = 3  # times the usual hint, that these score at least
_MOST_TIMES = 2.0  # that a nearer look has the scale of the main pass
_EVERYWHERE_TIMES = 2.25  # and that one at the whole photo has: faces of 1 % are 10.8 pixels
_MOST = 64  # hints of one look that are seen near, the best first: a third of a pass
_AROUND_PX = 128  # on the canvas; as far around far faces others are looked for
UNSEEN = 1.25  # times the canvas's sides, from which on a photo shows more when seen nearer


@dataclass(frozen=True, slots=True)
class Nearer:
    """A second look at a part of the photo."""

    region: Box
    times: float  # the scale of the main pass
    hint: float  # the least score that is followed


def small(detector: Detector, found: Detections, scale: float) -> NDArray[np.bool_]:
    """(n,) who is too small to be sure of in a look at this scale."""
    return (found.sizes * scale < _SMALL_PX) & (found.scores < detector.scale.settled)


def glanced_at(detector: Detector, image: Image, hints: Detections) -> Detections:
    """The best hints, as a near look sees them, in the image's pixels."""
    best = suppressed(hints, overlap=0.2).take(slice(_MOST))
    return seen_near(detector, image, best, GLANCE)


def confirmed(
    detector: Detector, image: Image, glances: Detections, threshold: float
) -> Detections:
    """The faces among those glanced at; after a second look, where that leaves a doubt."""
    certain = glances.scores >= (threshold + detector.scale.settled) / 2
    doubtful = reconsidered(detector, image, glances.take(~certain), threshold)
    return suppressed(joined([glances.take(certain), doubtful]))


def everywhere(detector: Detector, size: tuple[int, int]) -> Nearer:
    """All of a photo of this width and height."""
    return Nearer((0, 0, *size), _EVERYWHERE_TIMES, detector.scale.hint)


def around(
    detector: Detector, faces: Detections, scale: float, size: tuple[int, int]
) -> Nearer | None:
    """Where in a photo others may be who are as far away as some of these faces, if some are."""
    far = faces.take(faces.sizes * scale < _FAR_PX)
    if not len(far):
        return None
    margin = _AROUND_PX / scale
    left, top = np.maximum(far.boxes[:, :2].min(axis=0) - margin, 0)
    right, bottom = np.minimum(far.boxes[:, 2:].max(axis=0) + margin, size)
    times = _SEEN_PX / (float(np.median(far.sizes)) * scale)
    hint = detector.scale.hint * (_CLEARER if times < _MOST_TIMES else 1)
    return Nearer((int(left), int(top), int(right), int(bottom)), min(times, _MOST_TIMES), hint)
