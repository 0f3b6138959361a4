"""Thresholds from labelled pairs: what strangers of this model look like decides."""

import numpy as np
from numpy.typing import ArrayLike

from memoria.clustering.thresholds import Thresholds

SURE_FALSE_ACCEPTS = 1 / 20_000
LINK_FALSE_ACCEPTS = 1 / 2_000
FEWEST_PAIRS = 1_000


def thresholds_from_pairs(same: ArrayLike, different: ArrayLike, *, source: str) -> Thresholds:
    """Thresholds at fixed false accept rates.

    ``same``, ``different``: (m,), (k,) cosine similarities of pairs of faces of one person and of
    two. ``sure`` is exceeded by 1 in 20,000 pairs of strangers, ``link`` by 1 in 2,000. With fewer
    pairs the highest ones stand in for what cannot be counted.

    Raises ValueError with fewer than 1,000 pairs of strangers or none of one person.
    """
    strangers = np.asarray(different, dtype=np.float64).ravel()
    if len(strangers) < FEWEST_PAIRS or np.size(same) == 0:
        raise ValueError(
            f"calibration needs {FEWEST_PAIRS} pairs of different people and one of the same, "
            f"got {len(strangers)} and {np.size(same)}"
        )
    sure = similarity_at(strangers, SURE_FALSE_ACCEPTS)
    link = similarity_at(strangers, LINK_FALSE_ACCEPTS)
    return Thresholds(sure=round(sure, 4), link=round(min(link, sure), 4), source=source)


def similarity_at(different: ArrayLike, false_accepts: float) -> float:
    """The similarity that this part of the pairs of different people reaches. (k,) -> -1..1."""
    return float(np.quantile(np.asarray(different, dtype=np.float64), 1 - false_accepts))


def true_accepts(same: ArrayLike, similarity: float) -> float:
    """The part of the pairs of one person that reach a similarity. (m,) -> 0..1."""
    return float(np.mean(np.asarray(same) >= similarity))
