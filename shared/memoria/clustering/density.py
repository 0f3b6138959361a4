"""Exact HDBSCAN over cosine distance."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memoria.clustering.rows import canonical_order, unit_rows

Labels = NDArray[np.intp]


def hdbscan_labels(
    embeddings: ArrayLike,
    *,
    min_cluster_size: int = 3,
    min_samples: int = 2,
    epsilon: float = 0.4,
) -> Labels:
    """Groups of dense faces. (n, d) float32 unit rows -> (n,) labels 0..k-1, -1 for noise."""
    rows = unit_rows(embeddings)
    labels = np.full(len(rows), -1, dtype=np.intp)
    if len(rows) < max(2, min_cluster_size):
        return labels
    from hdbscan import HDBSCAN  # noqa: PLC0415

    order = canonical_order(rows)
    wide = rows[order].astype(np.float64)
    distances = np.clip(1 - wide @ wide.T, 0, 2)
    np.fill_diagonal(distances, 0)
    found = HDBSCAN(
        metric="precomputed",
        min_cluster_size=min_cluster_size,
        min_samples=min_samples,
        cluster_selection_epsilon=epsilon,
    ).fit(distances)
    labels[order] = found.labels_
    return labels
