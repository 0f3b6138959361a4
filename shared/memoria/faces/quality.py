"""How well a face can be recognised, 0..1."""

import numpy as np

from memoria.faces.types import F32


def quality(scores: F32, sizes: F32) -> F32:
    """From detector scores (n,) and sizes in pixels (n,) -> (n,) 0..1."""
    values: F32 = np.clip(scores * np.sqrt(np.minimum(sizes / 112, 1)), 0, 1)
    return values
