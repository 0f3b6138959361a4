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
from memoria.faces.contact_sheet import FAINTEST, Nearness, middle_one, side_by_side
from memoria.faces.detector import Detector
from memoria.faces.geometry import Detections, joined, mirrored, suppressed
from memoria.packs.pack import DetectionScale

_NEAR = Nearness(160, 48, off=0.3, times=1.65)
_MOST = 12  # faces looked at again: two looks cost an eighth of a main pass


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
    scales = _NEAR.face / np.maximum(faces.sizes, 1)
    centres: F32 = np.clip(faces.boxes.reshape(-1, 2, 2).mean(axis=1), 0, image.shape[1::-1])
    views = [
        _grey(near_view(image, centre, float(scale), _NEAR.side))
        for centre, scale in zip(centres, scales, strict=True)
    ]
    both = [each for view in views for each in (view, np.ascontiguousarray(view[:, ::-1]))]
    seen = [middle_one(some, _NEAR) for some in _seen(detector, both)]
    for i, scale in enumerate(map(float, scales)):
        corner = centres[i] * scale - _NEAR.side / 2
        near = joined([seen[2 * i], mirrored(seen[2 * i + 1], _NEAR.side)])
        yield _mean(joined([faces.take(slice(i, i + 1)), near.moved(*corner).scaled(1 / scale)]))


def _seen(detector: Detector, views: list[Image]) -> Iterator[Detections]:
    """Each view alone; as many at once as fit, where the detector takes one size of canvas."""
    if detector.fixed_size:
        return side_by_side(detector, views, _NEAR.side)
    return (detector.detect(view, FAINTEST) for view in views)


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
