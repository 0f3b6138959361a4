"""What a face counts for, by its quality."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memoria.arrays import F32

LEAST_WEIGHT = 0.25  # what the poorest face still says, beside a good one's 1
LIKE_NOBODY = 0.02  # faces of less quality are as near to others as to their own person


def face_weights(quality: ArrayLike | None, faces: int) -> tuple[F32, NDArray[np.bool_]]:
    """(n,) quality 0..1 -> (n,) weights, and whether each face can found a person.

    Without qualities all faces are good ones. Raises ValueError for another length and for values
    that are not finite.
    """
    known = known_quality(quality, faces)
    return np.maximum(known, np.float32(LEAST_WEIGHT)), known >= LIKE_NOBODY


def known_quality(quality: ArrayLike | None, faces: int) -> F32:
    """(n,) as given, within 0..1; ones where nothing is known."""
    if quality is None:
        return np.ones(faces, dtype=np.float32)
    given = np.asarray(quality, dtype=np.float32)
    if given.shape != (faces,) or not np.all(np.isfinite(given)):
        raise ValueError(f"quality must be {faces} finite numbers")
    return np.clip(given, 0, 1)
