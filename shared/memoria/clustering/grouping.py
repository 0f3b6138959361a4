"""The product's answer: HDBSCAN, refined."""

import numpy as np
from numpy.typing import ArrayLike

from memoria.arrays import F32, Index
from memoria.clustering.groups import Faces
from memoria.clustering.hdbscan import (
    check_parameters,
    labels_from_lists,
    neighbour_lists,
)
from memoria.clustering.neighbours import NeighbourLists
from memoria.clustering.quality import face_weights, known_quality
from memoria.clustering.refinement import refined
from memoria.clustering.rows import canonical_order, unit_rows
from memoria.clustering.same_photo import SharedPhotos
from memoria.clustering.thresholds import Thresholds, thresholds_for


def group_faces(
    embeddings: ArrayLike,
    *,
    min_cluster_size: int = 3,
    min_samples: int = 2,
    epsilon: float = 0.4,
    photo_ids: ArrayLike | None = None,
    quality: ArrayLike | None = None,
    model: str | None = None,
    thresholds: Thresholds | None = None,
) -> Index:
    """Faces into people. (n, d) float32 unit rows -> (n,) labels 0..k-1 by size, -1 for nobody's.

    HDBSCAN first (`hdbscan_labels`), then a second pass that weighs evidence (`refinement`), which
    also finds what density cannot: one person alone, three faces. The same faces in any order give
    the same groups.

    ``min_cluster_size``: the fewest faces of a person. ``min_samples``: how many near faces make a
    place dense, in the first pass. ``epsilon``: 0.4 is neutral; 0.1 more joins what is 0.1 less
    alike, in both passes.
    ``photo_ids``: (n,) which photo each face is in; groups seen in one photo must be more alike to
    be one person. ``quality``: (n,) 0..1, how much each face says; below 0.02 it founds no person,
    but may join one. ``model``: the pack whose thresholds apply, unless ``thresholds`` are
    given.

    Raises ValueError for parameters out of range, lengths that differ, and vectors without a
    direction.
    """
    check_parameters(min_cluster_size, min_samples, epsilon)
    rows = unit_rows(embeddings)
    labels = np.full(len(rows), -1, dtype=np.intp)
    photo_of = _photo_numbers(photo_ids, len(rows))
    known = known_quality(quality, len(rows))
    if len(rows) < min_cluster_size:
        return labels
    order = _canonical(rows, known, photo_of)
    rows, known = rows[order], known[order]
    lists = neighbour_lists(rows, min_samples)
    first = labels_from_lists(rows, lists, min_cluster_size, min_samples, epsilon)
    limits = thresholds or thresholds_for(model)
    photos = SharedPhotos(None if photo_of is None else photo_of[order])
    faces = Faces(rows, *face_weights(known, len(rows)), photos, *near_pairs(lists))
    labels[order] = refined(faces, first, limits, min_cluster_size, epsilon)
    return _by_size(labels, order)


def _canonical(rows: F32, known: F32, photo_of: Index | None) -> Index:
    """The canonical order; equal rows by their quality, then by their photo. -> (n,)."""
    order = canonical_order(rows)
    if not np.any(rows[order[1:], 0] == rows[order[:-1], 0]):
        return order  # no two are equal
    before = np.lexsort((known,) if photo_of is None else (photo_of, known))
    return before[canonical_order(rows[before])]


def near_pairs(lists: NeighbourLists) -> tuple[tuple[Index, Index], F32]:
    """Each face with its nearest ones. (n, k) lists -> (m,), (m,) row numbers, (m,) similarity."""
    n, count = lists.rows.shape
    return (np.repeat(np.arange(n), count), lists.rows.ravel()), 1 - lists.distances.ravel()


def _photo_numbers(photo_ids: ArrayLike | None, faces: int) -> Index | None:
    if photo_ids is None:
        return None
    ids = np.asarray(photo_ids)
    if ids.shape != (faces,):
        raise ValueError(f"photo_ids must have shape ({faces},), got {ids.shape}")
    return np.unique(ids, return_inverse=True)[1]


def _by_size(labels: Index, order: Index) -> Index:
    """Numbers groups by size, largest first; of equal ones the one with the first canonical row."""
    numbers, first, counts = np.unique(labels[order], return_index=True, return_counts=True)
    ranked = np.lexsort((first, -counts))
    ranked = ranked[numbers[ranked] >= 0]
    rank = np.full(labels.max() + 2, -1, dtype=np.intp)
    rank[numbers[ranked]] = np.arange(len(ranked))
    return rank[labels]
