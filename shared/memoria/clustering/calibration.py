"""Thresholds from labelled pairs: what strangers of this model look like decides."""

import numpy as np
from numpy.typing import ArrayLike

from memoria.clustering.thresholds import Thresholds

SURE_FALSE_ACCEPTS = 1 / 20_000
LINK_FALSE_ACCEPTS = 1 / 2_000
FEWEST_PAIRS = 1_000
LFW_SPREAD = 0.7  # between the medians for the model that the margins were measured with


def thresholds_from_pairs(same: ArrayLike, different: ArrayLike, *, source: str) -> Thresholds:
    """Thresholds at fixed false accept rates.

    ``same``, ``different``: (m,), (k,) cosine similarities of pairs of faces of one person and of
    two. ``sure`` is exceeded by 1 in 20,000 pairs of strangers, ``link`` by 1 in 2,000; the margins
    scale with the distance between the medians of the two kinds, for models whose similarities
    are crowded together. With fewer pairs the highest ones stand in for what cannot be counted.

    Raises ValueError with fewer than 1,000 pairs of strangers or none of one person.
    """
    genuine = np.asarray(same, dtype=np.float64).ravel()
    strangers = np.asarray(different, dtype=np.float64).ravel()
    if len(strangers) < FEWEST_PAIRS or len(genuine) == 0:
        raise ValueError(
            f"calibration needs {FEWEST_PAIRS} pairs of different people and one of the same, "
            f"got {len(strangers)} and {len(genuine)}"
        )
    sure = similarity_at(strangers, SURE_FALSE_ACCEPTS)
    link = similarity_at(strangers, LINK_FALSE_ACCEPTS)
    spread = max(float(np.median(genuine) - np.median(strangers)), 0.0) / LFW_SPREAD
    return Thresholds(
        sure=round(sure, 4),
        link=round(min(link, sure), 4),
        margin=round(0.08 * spread, 4),
        face_margin=round(0.15 * spread, 4),
        same_photo=round(0.2 * spread, 4),
        source=source,
    )


def similarity_at(different: ArrayLike, false_accepts: float) -> float:
    """The similarity that this part of the pairs of different people reaches. (k,) -> -1..1."""
    return float(np.quantile(np.asarray(different, dtype=np.float64), 1 - false_accepts))


def true_accepts(same: ArrayLike, similarity: float) -> float:
    """The part of the pairs of one person that reach a similarity. (m,) -> 0..1."""
    return float(np.mean(np.asarray(same) >= similarity))
