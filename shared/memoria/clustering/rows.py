"""Face vectors as rows: unit length, one canonical order."""

import numpy as np
from numpy.typing import ArrayLike

from memoria.arrays import F32, Index

UNIT_TOLERANCE = 1e-3


def unit_rows(embeddings: ArrayLike) -> F32:
    """Rows as given where they have unit length, else scaled to it. (n, d) -> (n, d) float32.

    Vectors within 0.001 of unit length stay bit for bit what they are. Raises ValueError for
    another shape, for values that are not finite and for rows of zeros: none of them has a
    direction to compare.
    """
    rows = np.ascontiguousarray(embeddings, dtype=np.float32)
    if rows.size == 0:
        return rows.reshape(0, rows.shape[-1] if rows.ndim == 2 else 0)
    if rows.ndim != 2:
        raise ValueError(f"embeddings must be two-dimensional, got {rows.ndim} dimensions")
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    if not np.all(np.isfinite(norms)) or not np.all(norms > 0):
        raise ValueError("embeddings must be finite and not zero")
    if np.all(np.abs(norms - 1) <= UNIT_TOLERANCE):
        return rows
    scaled: F32 = (rows / norms[:, None]).astype(np.float32)
    return scaled


def canonical_order(rows: F32) -> Index:
    """The permutation that sorts rows by their bytes, however they came. (n, d) -> (n,)."""
    if len(rows) == 0:
        return np.empty(0, dtype=np.intp)
    keys = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.strides[0]))).ravel()
    return np.argsort(keys, kind="stable")
