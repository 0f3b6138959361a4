"""The product's answer: HDBSCAN, refined."""

from numpy.typing import ArrayLike

from memoria.clustering.density import Labels, hdbscan_labels


def group_faces(
    embeddings: ArrayLike,
    *,
    min_cluster_size: int = 3,
    min_samples: int = 2,
    epsilon: float = 0.4,
    photo_ids: ArrayLike | None = None,
    quality: ArrayLike | None = None,
    model: str | None = None,
) -> Labels:
    """Faces into people. (n, d) float32 unit rows -> (n,) labels 0..k-1, -1 for nobody's group."""
    del photo_ids, quality, model
    return hdbscan_labels(
        embeddings, min_cluster_size=min_cluster_size, min_samples=min_samples, epsilon=epsilon
    )
