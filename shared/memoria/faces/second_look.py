"""A second look at the faces that the first one doubts: near, in grey, and in the mirror.

Where a face is blurred or half hidden, the photo's size, colours and compression decide on which
side of the threshold its score falls. Seen alone, in one size, without colours, and once mirrored,
it scores alike in every copy of the photo. The mean of the three looks is the face's score; its
box and landmarks are their mean too.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from memoria.arrays import F32, Image
from memoria.faces.canvas import view as near_view
from memoria.faces.contact_sheet import side_by_side
from memoria.faces.detector import Detector
from memoria.faces.geometry import Detections, joined, mirrored, suppressed
from memoria.packs.pack import DetectionScale

_VIEW_PX = 160  # side of the canvas of a second look
_FACE_PX = 48  # how large the face is on it
_NEAR = 0.3  # of its size, by which its centre may be elsewhere on second sight
_SIMILAR = 1.65  # times, by which its size may differ
_MOST = 12  # faces looked at again: two looks cost an eighth of a main pass
_FAINTEST = 0.05  # a score that counts in a mean


def doubtful_from(threshold: float) -> float:
    """The score from which a face deserves a second look: less never comes to the threshold."""
    return 0.9 * threshold


def doubtful_to(threshold: float, scale: DetectionScale) -> float:
    """The score from which a face needs none: ``settled``, moved with the threshold."""
    return 1 - (1 - scale.settled) / (1 - scale.face) * (1 - threshold)


def reconsidered(
    detector: Detector, image: Image, found: Detections, threshold: float
) -> Detections:
    """Faces at or over the threshold after a second look at the doubtful ones, best first.

    ``found``: scores from ``doubtful_from(threshold)`` on at least, in the image's pixels. Those
    nearest to the threshold come first; after ``_MOST`` of them scores are taken as they are.
    """
    order = np.argsort(np.abs(found.scores - threshold), kind="stable")
    scores = found.scores[order]
    last = doubtful_to(threshold, detector.scale)
    doubtful = order[(scores >= doubtful_from(threshold)) & (scores < last)][:_MOST]
    settled = found.take(np.setdiff1d(order, doubtful))
    result = joined([settled, *_averaged(detector, image, found.take(doubtful))])
    # a doubtful one beside a certain one may turn out to be the same
    return suppressed(result.take(result.scores >= threshold))


def _averaged(detector: Detector, image: Image, faces: Detections) -> Iterator[Detections]:
    """Each face, its score the mean of three looks, its box and landmarks their weighted mean."""
    scales = _FACE_PX / np.maximum(faces.sizes, 1)
    centres: F32 = np.clip(faces.boxes.reshape(-1, 2, 2).mean(axis=1), 0, image.shape[1::-1])
    views = [
        _grey(near_view(image, centre, float(scale), _VIEW_PX))
        for centre, scale in zip(centres, scales, strict=True)
    ]
    both = [each for view in views for each in (view, np.ascontiguousarray(view[:, ::-1]))]
    seen = [_middle_one(some) for some in _seen(detector, both)]
    for i, scale in enumerate(map(float, scales)):
        corner = centres[i] * scale - _VIEW_PX / 2
        near = joined([seen[2 * i], mirrored(seen[2 * i + 1], _VIEW_PX)])
        yield _mean(joined([faces.take(slice(i, i + 1)), near.moved(*corner).scaled(1 / scale)]))


def _seen(detector: Detector, views: list[Image]) -> Iterator[Detections]:
    """Each view alone; as many at once as fit, where the detector takes one size of canvas."""
    if detector.fixed_size:
        return side_by_side(detector, views, _VIEW_PX)
    return (detector.detect(view, _FAINTEST) for view in views)


def _mean(looks: Detections) -> Detections:
    share = looks.scores / looks.scores.sum()
    return Detections(
        np.einsum("i,ij->j", share, looks.boxes)[None],
        looks.scores.sum(keepdims=True) / np.float32(3),
        np.einsum("i,ijk->jk", share, looks.landmarks)[None],
    )


def _grey(image: Image) -> Image:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)  # type: ignore[return-value]


def _middle_one(seen: Detections) -> Detections:
    """The most certain face in the middle of a view, if there is one."""
    centres = (seen.boxes[:, :2] + seen.boxes[:, 2:]) / 2
    near = np.abs(centres - _VIEW_PX / 2).max(axis=1) < _NEAR * _FACE_PX
    similar = np.abs(np.log(np.maximum(seen.sizes, 1) / _FACE_PX)) < np.log(_SIMILAR)
    candidates = np.flatnonzero(near & similar)
    return seen.take(candidates[np.argsort(-seen.scores[candidates], kind="stable")[:1]])
