"""How many guests a selfie finds, and how many strangers it shows somebody.

Run it: `python -m benchmarks.selfie_search`; it writes the tables of docs/search.md.

Half of the people of a set are in the event (up to eight photos each, grouped by `group_faces`),
their other photos are selfies; the photos of the other half are strangers' selfies. Needs labelled
vectors: by default those that lie beside the repository.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cluster_page import set_table
from memoria.arrays import F32, F64, Index
from memoria.clustering import group_faces
from memoria.clustering.thresholds import thresholds_for
from memoria.search.likeness import FEWEST_FACES, Rule, alike_to_others, background
from memoria.search.rules import measured_rule
from memoria.search.selfie import REPEATED

DATA = Path(__file__).parents[2] / "shared" / "embeddings"
PAGE = Path(__file__).parents[1] / "docs" / "search.md"
MODEL = "scrfd2.5g_mobilefacenet"
MOST_ENROLLED = 8
CLEAR = 0.7  # the quality of the selfies that "missed" counts
DRAWS = {"small sets": 12, "large": 10}
SIZES = (50, 100, 250)
STRANGERS_PER_DRAW = 400
BOOTSTRAPS = 1000
# of lfw_dev: row 3865 is labelled 890 and shows 1138 (median similarity to their photos 0.72, to
# its own -0.00); row 3859, the only one labelled 918, shows 919 (0.60)
WRONGLY_LABELLED = (890, 918, 919, 1138)
Labels = Index  # whose each photo is


@dataclass(frozen=True, slots=True)
class Set:
    """Labelled vectors of one model: (n, 512) unit rows, (n,) who, (n,) quality."""

    rows: F32
    person: Labels
    quality: F32
    model: str = MODEL


@dataclass(frozen=True, slots=True)
class Event:
    """The people and loose faces of one event, as the database has them."""

    means: F32  # (k, 512) unit
    faces: F64  # (k,) of each mean; 1 for loose faces
    mean_length: F64  # (k,) lengths of the means
    background: float
    members: list[Index]  # rows of the event behind each mean
    shown: list[Index]  # those of them that a guest is shown

    def scores(self, rule: Rule, selfie: F32, weight: float, length: float) -> F64:
        """Of one selfie against everybody. (512,) -> (k,)."""
        similarity = (self.means @ selfie).astype(np.float64)
        return rule.score(
            similarity, (weight, length), self.faces, self.mean_length, self.background
        )


def grouped(data: Set, rows: Index, rule: Rule) -> Event:
    """The event of some photos of a set: one face each."""
    labels = group_faces(data.rows[rows], quality=data.quality[rows], model=data.model)
    members = [np.flatnonzero(labels == label) for label in range(labels.max(initial=-1) + 1)]
    means = [data.rows[rows[some]].astype(np.float64).mean(axis=0) for some in members]
    alike = background(np.array(means).reshape(-1, data.rows.shape[1]))
    members += [np.array([loose]) for loose in np.flatnonzero(labels < 0)]
    means += [data.rows[rows[some[0]]].astype(np.float64) for some in members[len(means) :]]
    lengths = np.linalg.norm(means, axis=1)
    units = (np.array(means) / lengths[:, None]).astype(np.float32)
    shown = [
        some[_belong(data.rows[rows[some]] @ unit, float(length), rule)]
        for some, unit, length in zip(members, units, lengths, strict=True)
    ]
    return Event(
        means=units,
        faces=np.array([len(some) for some in members], dtype=np.float64),
        mean_length=lengths,
        background=alike,
        members=members,
        shown=shown,
    )


def _belong(similarity: F32, mean_length: float, rule: Rule) -> NDArray[np.bool_]:
    """Which faces of a person are surely theirs. (n,) similarities to the mean -> (n,)."""
    if len(similarity) < FEWEST_FACES:
        return np.ones(len(similarity), dtype=np.bool_)
    return (
        alike_to_others(similarity.astype(np.float64), len(similarity), mean_length) >= rule.belongs
    )


def one_selfie(rows: F32, quality: F32) -> tuple[F32, float, float]:
    """(m, 512), (m,) the pictures of one request -> vector, weight, length: search/selfie.py."""
    total = quality @ rows / quality.sum()
    length = float(np.linalg.norm(total))
    count = float(quality.sum())
    weight = count / (1 + max(count - 1, 0) / REPEATED)
    return (total / length).astype(np.float32), weight, length


@dataclass(slots=True)
class Tally:
    """What happened to guests and strangers of one set, with whose search it was."""

    stranger: list[int]
    shown_stranger: list[bool]
    guest: list[int]
    found: list[bool]
    photos: list[int]
    photos_shown: list[int]
    others_shown: list[bool]

    @classmethod
    def empty(cls) -> "Tally":
        """Nothing so far."""
        return cls([], [], [], [], [], [], [])


def searched(
    data: Set,
    tally: Tally,
    rule: Rule,
    people: Labels,
    others: Labels,
    *,
    rng: np.random.Generator,
    pictures: int,
) -> None:
    """One event with these people in it, searched by them and by strangers."""
    split = [_enrolled(np.flatnonzero(data.person == who), rng) for who in people]
    rows = np.concatenate([inside for inside, _ in split])
    owner = np.repeat(people, [len(inside) for inside, _ in split])
    event = grouped(data, rows, rule)
    sure = rule.sure(len(event.faces))
    for who, (_, outside) in zip(people, split, strict=True):
        for some in _selfies(data, outside, pictures):
            scores = event.scores(rule, *one_selfie(data.rows[some], data.quality[some]))
            matched = [event.shown[place] for place in np.flatnonzero(scores >= sure)]
            shown = owner[np.concatenate(matched)] if matched else owner[:0]
            tally.guest.append(int(who))
            tally.found.append(bool(np.any(shown == who)))
            tally.photos.append(int(np.sum(owner == who)))
            tally.photos_shown.append(int(np.sum(shown == who)))
            tally.others_shown.append(bool(np.any(shown != who)))
    strangers = [np.flatnonzero(data.person == who) for who in others]
    for who, photos in zip(others, strangers, strict=True):
        for some in _selfies(data, photos[rng.permutation(len(photos))[:20]], pictures):
            scores = event.scores(rule, *one_selfie(data.rows[some], data.quality[some]))
            tally.stranger.append(int(who))
            tally.shown_stranger.append(bool(scores.max(initial=-np.inf) >= sure))


def _enrolled(photos: Index, rng: np.random.Generator) -> tuple[Index, Index]:
    """Which of a person's photos are in the event, and which are selfies."""
    photos = rng.permutation(photos)
    count = min(MOST_ENROLLED, max(3, len(photos) // 2), max(len(photos) - 1, 1))
    return photos[:count], photos[count : count + MOST_ENROLLED]


def _selfies(data: Set, photos: Index, pictures: int) -> Iterator[Index]:
    clear = photos[data.quality[photos] > CLEAR]
    for first in range(0, len(clear) - pictures + 1, pictures):
        yield clear[first : first + pictures]


def small_set(data: Set, rule: Rule, pictures: int) -> Tally:
    """Half of the people in the event, half strangers, several times."""
    rng, tally = np.random.default_rng(0), Tally.empty()
    for _ in range(DRAWS["small sets"]):
        people = rng.permutation(np.unique(data.person))
        half = len(people) // 2
        searched(data, tally, rule, people[:half], people[half:], rng=rng, pictures=pictures)
    return tally


def large_set(data: Set, rule: Rule, size: int, pictures: int) -> Tally:
    """Events of one size drawn from a large set; each stranger asks with at most two photos."""
    rng, tally = np.random.default_rng(size), Tally.empty()
    count = np.bincount(data.person)
    for _ in range(DRAWS["large"]):
        people = rng.permutation(np.flatnonzero(count >= 4))[:size]
        others = np.setdiff1d(np.flatnonzero(count > 0), people)
        others = rng.permutation(others)[:STRANGERS_PER_DRAW]
        searched(data, tally, rule, people, others, rng=rng, pictures=pictures)
    return tally


def interval(who: list[int], happened: list[bool]) -> tuple[float, float]:
    """95 % of a share, by drawing people, not searches: searches of one person go together."""
    rng = np.random.default_rng(1)
    people, place = np.unique(who, return_inverse=True)
    hits = np.bincount(place, happened, len(people))
    count = np.bincount(place, minlength=len(people))
    drawn = rng.integers(0, len(people), (BOOTSTRAPS, len(people)))
    shares = hits[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    return float(np.quantile(shares, 0.025)), float(np.quantile(shares, 0.975))


HEAD = (
    "| set | pictures | strangers | shown somebody (95 %) | guests' searches | missed (95 %) "
    "| own photos shown | somebody else's photo shown |\n|---|---|---|---|---|---|---|---|"
)


def row(name: str, pictures: int, tally: Tally) -> str:
    """One line of the table."""
    low, high = interval(tally.stranger, tally.shown_stranger)
    missed = [not found for found in tally.found]
    least, most = interval(tally.guest, missed)
    return (
        f"| {name} | {pictures} | {len(tally.stranger)} "
        f"| {np.mean(tally.shown_stranger):.2%} ({low:.2%} to {high:.2%}) | {len(tally.guest)} "
        f"| {np.mean(missed):.1%} ({least:.1%} to {most:.1%}) "
        f"| {sum(tally.photos_shown) / sum(tally.photos):.1%} | {np.mean(tally.others_shown):.1%} |"
    )


def less_wrong_labels(tally: Tally) -> Tally:
    """The searches of everybody but the people whose labels are known to be wrong."""
    strangers = ~np.isin(tally.stranger, WRONGLY_LABELLED)
    guests = ~np.isin(tally.guest, WRONGLY_LABELLED)

    def of(values: Iterable[Any], kept: NDArray[np.bool_]) -> list[Any]:
        return [value for value, keep in zip(values, kept, strict=True) if keep]

    return Tally(
        of(tally.stranger, strangers), of(tally.shown_stranger, strangers),
        of(tally.guest, guests), of(tally.found, guests), of(tally.photos, guests),
        of(tally.photos_shown, guests), of(tally.others_shown, guests),
    )  # fmt: skip


def table(sets: Mapping[str, Set], large: Set | None, rule: Rule) -> Iterator[str]:
    """Every set, one picture and three; then the means over the small sets."""
    yield HEAD
    for pictures in (1, 3):
        tallies = {name: small_set(data, rule, pictures) for name, data in sets.items()}
        for name, tally in tallies.items():
            if tally.guest:
                yield row(name, pictures, tally)
        shown = [np.mean(tally.shown_stranger) for tally in tallies.values() if tally.stranger]
        missed = [1 - np.mean(tally.found) for tally in tallies.values() if tally.guest]
        yield (
            f"| mean of these | {pictures} | | {np.mean(shown):.3%}, worst {max(shown):.2%} | "
            f"| {np.mean(missed):.1%}, worst {max(missed):.1%} | | |"
        )
        if large is not None and pictures == 1:
            yield from large_rows(large, rule)


def large_rows(large: Set, rule: Rule) -> Iterator[str]:
    """The large set at every size, one picture; with and without who is wrongly labelled."""
    for size in SIZES:
        tally = large_set(large, rule, size, 1)
        yield row(f"LFW, {size} people", 1, tally)
        yield row("the same less four people", 1, less_wrong_labels(tally))


def unit(rows: F32) -> F32:
    """Unit rows in float32, whatever was stored."""
    rows = np.asarray(rows, dtype=np.float32)
    normed: F32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return normed


def read_sets(path: Path, model: str = MODEL) -> dict[str, Set]:
    """An .npz of several sets: `embedding`, `person`, `event`, `quality`."""
    stored = np.load(path)
    rows = unit(stored["embedding"])
    return {
        str(name): Set(
            rows[some], stored["person"][some].astype(np.intp), stored["quality"][some], model
        )
        for name in np.unique(stored["event"])
        for some in [stored["event"] == name]
    }


def read_large(path: Path) -> Set:
    """An .npz of `embedding` and `person`; a quality where it has one, else 1."""
    stored = np.load(path)
    person = stored["person"].astype(np.intp)
    quality = stored["quality"] if "quality" in stored else np.ones(len(person), np.float32)
    return Set(unit(stored["embedding"]), person, np.asarray(quality, dtype=np.float32))


def main() -> None:
    """Print the tables and write them into docs/search.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=Path, default=DATA / "outside_dev.npz")
    parser.add_argument("--large", type=Path, default=DATA / "lfw_dev.npz")
    parser.add_argument("--model", default=MODEL, help="whose the sets are; another writes nothing")
    parser.add_argument("--demand", type=float, help="try another demand, nats")
    parser.add_argument("--slope", type=float, help="and another slope, nats")
    parser.add_argument("--belongs", type=float, help="and which faces of a person are shown")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    args = parser.parse_args()
    rule = measured_rule(args.model, thresholds_for(args.model))
    if args.demand is not None:
        rule = replace(rule, demand=args.demand)
    if args.slope is not None:
        rule = replace(rule, slope=args.slope)
    if args.belongs is not None:
        rule = replace(rule, belongs=args.belongs)
    lines = []
    large = read_large(args.large) if args.model == MODEL else None
    for line in table(read_sets(args.sets, args.model), large, rule):
        print(line, flush=True)
        lines.append(line)
    if large and not args.dry_run:
        set_table("selfies", "\n".join(lines), PAGE)


if __name__ == "__main__":
    main()
