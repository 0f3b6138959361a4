"""The labelled faces that grouping is judged on, and events drawn from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.grouping_portraits import DAMAGES, PHOTOS, SHARED, portraits
from memoria.arrays import F32, Index
from memoria.clustering.rows import unit_rows

SMALL, SFACE = "outside_dev", "outside_sface_dev"
DRAWN = {30: 12, 100: 8, 300: 4}  # faces: how many events are drawn from all sets together
STRANGERS = 200
FRAMES = 6  # a burst has 1 to this many
USUAL_QUALITY = 0.98


@dataclass(frozen=True, eq=False)
class Event:
    """Faces of one event and who they are."""

    kind: str
    name: str
    rows: F32  # (n, d)
    person: Index  # (n,)
    quality: F32 | None  # (n,) where it was measured

    @cached_property
    def similarity(self) -> F32:
        """(n, n)."""
        product: F32 = self.rows @ self.rows.T
        return product

    def of(self, kind: str, chosen: Index) -> "Event":
        """An event of some of the faces."""
        quality = None if self.quality is None else self.quality[chosen]
        return Event(kind, self.name, self.rows[chosen], self.person[chosen], quality)


def stored(name: str) -> dict[str, NDArray[np.generic]]:
    with np.load(SHARED / "embeddings" / f"{name}.npz") as columns:
        return dict(columns)


def lfw() -> Event:
    """The calibration set: people of the news, without qualities."""
    columns = stored("lfw_dev")
    rows = unit_rows(columns["embedding"].astype(np.float32))
    return Event("LFW", "all", rows, columns["person"].astype(np.intp), None)


def outside(name: str) -> list[Event]:
    """The sets of people outside LFW, each whole."""
    columns = stored(name)
    rows = unit_rows(columns["embedding"].astype(np.float32))
    whole = Event("whole", name, rows, columns["person"].astype(np.intp), columns["quality"])  # type: ignore[arg-type]
    events = []
    for event in np.unique(columns["event"]):
        part = whole.of("whole", np.flatnonzero(columns["event"] == event))
        events.append(Event("whole", str(event), part.rows, part.person, part.quality))
    return events


def joined(events: list[Event], kind: str, name: str) -> Event:
    quality = [event.quality for event in events if event.quality is not None]
    return Event(
        kind,
        name,
        np.concatenate([event.rows for event in events]),
        np.concatenate([event.person for event in events]),
        np.concatenate(quality) if len(quality) == len(events) else None,
    )


def drawn(pool: Event, sizes: dict[int, int] = DRAWN) -> Iterator[Event]:
    """Events of so many faces: people in a random order, all their photos or a few of each."""
    for faces, draws in sizes.items():
        for seed in range(draws):
            rng = np.random.default_rng(1000 * faces + seed)
            most = int(rng.integers(3, 12)) if seed % 2 else len(pool.person)
            rank = np.empty(len(pool.person), np.intp)
            shuffled = rng.permutation(len(pool.person))
            order = shuffled[np.argsort(pool.person[shuffled], kind="stable")]
            first = np.searchsorted(pool.person[order], pool.person[order])
            rank[order] = np.arange(len(order)) - first
            people = rng.permutation(int(pool.person.max()) + 1)[pool.person]
            chosen = np.lexsort((rank, people))
            yield pool.of(f"drawn {faces}", chosen[rank[chosen] < most][:faces])


def with_few(event: Event, seed: int) -> Event:
    """Half of the people cut to two faces: they are strangers now."""
    rng = np.random.default_rng(seed)
    people = rng.permutation(np.unique(event.person))
    kept = np.ones(len(event.person), dtype=bool)
    for one in people[: len(people) // 2]:
        kept[rng.permutation(np.flatnonzero(event.person == one))[2:]] = False
    return event.of("half cut to two", np.flatnonzero(kept))


def with_strangers(event: Event, crowd: Event, seed: int) -> Event:
    """Strangers of LFW among the people of a set."""
    single = np.flatnonzero(np.bincount(crowd.person)[crowd.person] < 3)
    few = crowd.of("", np.random.default_rng(seed).permutation(single)[:STRANGERS])
    usual = np.full(STRANGERS, USUAL_QUALITY, np.float32)
    strangers = Event("", "", few.rows, few.person + int(event.person.max()) + 1, usual)
    return joined([event, strangers], "200 strangers", event.name)


def in_bursts(event: Event, seed: int) -> Event:
    """A third of the photos, each taken up to FRAMES times: similarity 0.9 to 0.98."""
    rng = np.random.default_rng(seed)
    third = rng.permutation(len(event.rows))[: len(event.rows) // 3]
    frames = event.of("bursts", np.repeat(third, rng.integers(1, FRAMES + 1, len(third))))
    noise = rng.normal(size=frames.rows.shape)
    noise *= rng.uniform(0.15, 0.3, (len(noise), 1)) / np.linalg.norm(noise, axis=1, keepdims=True)
    rows = unit_rows((frames.rows + noise).astype(np.float32))
    return Event("bursts", event.name, rows, frames.person, frames.quality)


def damaged() -> Iterator[Event]:
    """The portraits through our own finder, as they are and damaged."""
    if PHOTOS.exists():
        for damage in DAMAGES:
            rows, person, quality = portraits(damage)
            yield Event("portraits", damage, rows, person, quality)


def all_events() -> Iterator[Event]:
    """Everything of the small pack except LFW, which is large."""
    sets = outside(SMALL)
    crowd = lfw()
    yield from sets
    yield from drawn(joined(sets, "", "all sets"))
    yield from (with_few(event, seed) for event in sets for seed in range(2))
    yield from (with_strangers(event, crowd, 0) for event in sets)
    yield from (in_bursts(event, 0) for event in sets)
    yield from damaged()
