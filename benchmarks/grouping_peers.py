"""Other ways to group faces by their vectors. Each gets its best single setting over all events."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.grouping_sets import Event
from memoria.arrays import F64, Index
from memoria.clustering import group_faces, hdbscan_labels

SMALLEST = 3
CUTS = (0.30, 0.34, 0.38, 0.42, 0.46, 0.50)  # similarities
IMMICH = 0.5  # its largest cosine distance; a person needs three faces

Method = Callable[[Event], Index]
Tried = Callable[[Event], Iterator[tuple[float, Index]]]


def ours(event: Event) -> Index:
    return group_faces(event.rows, quality=event.quality)


def plain_hdbscan(event: Event) -> Index:
    return hdbscan_labels(event.rows)


def immich(event: Event) -> Index:
    from sklearn.cluster import DBSCAN

    distance = np.clip(1 - event.similarity, 0, 2)
    labels: Index = DBSCAN(eps=IMMICH, min_samples=SMALLEST, metric="precomputed").fit_predict(
        distance
    )
    return labels


def average_linkage(event: Event) -> Iterator[tuple[float, Index]]:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distance = np.clip(1 - event.similarity, 0, 2)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False).astype(np.float64), "average")
    for cut in CUTS:
        yield cut, without_small(fcluster(tree, 1 - cut, "distance"))


def infomap(event: Event) -> Iterator[tuple[float, Index]]:
    from infomap import Infomap

    for cut in CUTS:
        one, other, weight = _edges(event, cut)
        flow: Any = Infomap("--two-level --silent --seed 1")
        for node in range(len(event.rows)):
            flow.add_node(node)
        for edge in zip(one.tolist(), other.tolist(), weight.tolist(), strict=True):
            flow.add_link(*edge)
        flow.run()
        modules = flow.get_modules()
        labels = np.array([modules[node] for node in range(len(event.rows))])
        yield cut, without_small(labels)


def chinese_whispers(event: Event) -> Iterator[tuple[float, Index]]:
    import networkx  # type: ignore[import-untyped]
    from chinese_whispers import chinese_whispers as whisper

    for cut in CUTS:
        graph = networkx.Graph()
        graph.add_nodes_from(range(len(event.rows)))
        one, other, weight = _edges(event, cut)
        graph.add_weighted_edges_from(
            zip(one.tolist(), other.tolist(), weight.tolist(), strict=True)
        )
        whisper(graph, iterations=20, seed=1)
        labels = np.array([graph.nodes[node]["label"] for node in range(len(event.rows))])
        yield cut, without_small(labels)


FIXED: dict[str, Method] = {
    "group_faces": ours,
    "HDBSCAN": plain_hdbscan,
    "DBSCAN as Immich": immich,
}
TUNED: dict[str, Tried] = {
    "average linkage": average_linkage,
    "Infomap": infomap,
    "Chinese whispers": chinese_whispers,
}


def without_small(labels: Index) -> Index:
    """Groups of fewer than SMALLEST faces are nobody's, as everywhere. (n,) -> (n,)."""
    group = np.unique(labels, return_inverse=True)[1]
    return np.where(np.bincount(group)[group] >= SMALLEST, group, -1)


def _edges(event: Event, cut: float) -> tuple[Index, Index, F64]:
    """All pairs at least so similar, and how similar. (m,), (m,), (m,)."""
    one, other = np.nonzero(np.triu(event.similarity >= cut, 1))
    return one, other, event.similarity[one, other].astype(np.float64)
