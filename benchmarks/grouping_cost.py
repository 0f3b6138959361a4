"""What the second pass costs beside the first."""

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.grouping_sets import lfw
from benchmarks.measures import alternated
from memoria.arrays import Index
from memoria.clustering import group_faces, hdbscan_labels


def photos_of_four(person: Index) -> Index:
    """Photos that show up to four people, each of them once. (n,) sorted people -> (n,) photos."""
    photo_of_theirs = np.arange(len(person)) - np.searchsorted(person, person)
    return person // 4 * len(person) + photo_of_theirs


def cost() -> Iterator[str]:
    """What the second pass adds to the time of the first, for events of whole people."""
    yield "| faces | first pass | second pass | of the first | with photo_ids |"
    yield "|---|---|---|---|---|"
    whole = lfw()
    order = np.random.default_rng(1).permutation(int(whole.person.max()) + 1)
    for faces in (30, 100, 300, 600, 1000, 3000, len(whole.rows)):
        chosen = np.argsort(order[whole.person], kind="stable")[:faces]
        some, photos = whole.rows[chosen], photos_of_four(order[whole.person[chosen]])
        calls: list[Callable[[], object]] = [
            lambda some=some: hdbscan_labels(some),  # type: ignore[misc]
            lambda some=some: group_faces(some),  # type: ignore[misc]
            lambda some=some, photos=photos: group_faces(some, photo_ids=photos),  # type: ignore[misc]
        ]
        first, both, shown = alternated(calls, 15 if faces < 2000 else 6)
        yield (
            f"| {faces:,} | {1000 * first:.1f} ms | {1000 * (both - first):.1f} ms "
            f"| {both / first - 1:.0%} | {1000 * (shown - first):.1f} ms |"
        )
