"""How well faces are grouped, and how far that hangs on thresholds and on the event.

Run it: `python -m benchmarks.grouping`; it writes the tables of docs/clustering.md.

Needs labelled vectors (an .npz with `embedding` and `person`), by default the small pack's vectors
of LFW that lie beside the repository, and the labelled portraits there.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.cluster_page import set_table
from benchmarks.grouping_portraits import PHOTOS, portraits
from benchmarks.grouping_scores import Labels, Scores, scores
from benchmarks.measures import alternated
from memoria.arrays import F32
from memoria.clustering import group_faces, hdbscan_labels
from memoria.clustering.grouping import near_pairs
from memoria.clustering.groups import Faces
from memoria.clustering.hdbscan import labels_from_lists, neighbour_lists
from memoria.clustering.refinement import refined
from memoria.clustering.rows import canonical_order, unit_rows
from memoria.clustering.same_photo import SharedPhotos
from memoria.clustering.thresholds import MEASURED, Thresholds, thresholds_from_pairs, true_accepts

LABELLED = Path(__file__).parents[2] / "shared" / "embeddings" / "lfw_dev.npz"
EVENTS = {30: 40, 100: 20, 300: 10, 1000: 5, 5000: 2}  # faces: how many events are drawn
RATES = [50_000, 20_000, 10_000, 5000, 2000, 1000]  # pairs of strangers per false accept
SPLITS = 2


def pairs(rows: F32, person: Labels) -> tuple[F32, F32]:
    """Similarities of all pairs of one person and of two people."""
    one, other = np.triu_indices(len(rows), 1)
    similarity = (rows @ rows.T)[one, other]
    same = person[one] == person[other]
    return similarity[same], similarity[~same]


def row(name: str, found: Scores) -> str:
    return (
        f"| {name} | {found.bcubed:.4f} | {found.precision:.4f} | {found.recall:.4f} "
        f"| {found.pairwise:.4f} | {found.strangers_grouped} | {found.groups} |"
    )


HEAD = (
    "\n| {} | B-cubed F | precision | recall | pairwise F | strangers grouped | groups |\n"
    "|---|---|---|---|---|---|---|"
)
EVENT_HEAD = (
    "\n| faces | events | HDBSCAN: B-cubed F | pairwise F | strangers "
    "| group_faces: B-cubed F | pairwise F | strangers | worst B-cubed F |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def whole(name: str, rows: F32, person: Labels) -> Iterator[str]:
    """Both passes, and what no method can exceed."""
    yield HEAD.format(name)
    yield row("hdbscan_labels", scores(hdbscan_labels(rows), person))
    yield row("group_faces", scores(group_faces(rows), person))
    seen = np.unique(person, return_inverse=True, return_counts=True)
    best = np.where(seen[2][seen[1]] >= 3, seen[1], -1)
    yield row("the best that a smallest group of 3 allows", scores(best, person))


def by_thresholds(rows: F32) -> Callable[[Thresholds], Labels]:
    """`group_faces` for many thresholds: its first pass, which they do not touch, is made once."""
    order = canonical_order(rows)
    rows = rows[order]
    lists = neighbour_lists(rows, 2)
    first = labels_from_lists(rows, lists, 3, 2, 0.4)
    weight = np.ones(len(rows), dtype=np.float32)

    def labels(limits: Thresholds) -> Labels:
        faces = Faces(rows, weight, weight > 0, SharedPhotos(None), near_pairs(lists, limits.floor))
        found = np.empty(len(rows), dtype=np.intp)
        found[order] = refined(faces, first, limits, 3)
        return found

    return labels


def candidates(rows: F32, person: Labels) -> Iterator[tuple[str, Thresholds]]:
    """Thresholds at pairs of false accept rates, as these people have them."""
    different = pairs(rows, person)[1]
    at = dict(zip(RATES, np.quantile(different, [1 - 1 / rate for rate in RATES]), strict=True))
    for sure in RATES:
        for link in RATES[RATES.index(sure) + 1 :]:
            name = f"1/{sure:,}, 1/{link:,}"
            yield name, Thresholds(sure=float(at[sure]), link=float(at[link]), source=name)


def held_out(rows: F32, person: Labels) -> Iterator[str]:
    """The best rates and thresholds of half of the people, on the other half."""
    yield HEAD.format("other half of the people")
    for split in range(SPLITS):
        coin = np.random.default_rng(split).permutation(person.max() + 1)[person] % 2
        for half in (0, 1):
            here, there = coin == half, coin != half
            grouped, held = by_thresholds(rows[here]), by_thresholds(rows[there])
            tried = [
                (
                    scores(grouped(limits), person[here]).bcubed,
                    name,
                    limits,
                )
                for name, limits in candidates(rows[here], person[here])
            ]
            _, name, limits = max(tried, key=lambda one: one[0])
            draw = f"{split + 1}{'ab'[half]}"
            for label, used in ((f"chosen on the first: {name}", limits), ("as shipped", MEASURED)):
                labels = held(used)
                yield row(f"{draw}, {label}", scores(labels, person[there]))


def sensitivity(rows: F32, person: Labels, base: Thresholds) -> Iterator[str]:
    """One threshold moved, and with it the band that the margins are multiples of."""
    yield HEAD.format("thresholds")
    variants = [replace(base, sure=base.sure + d) for d in (-0.04, -0.02, 0, 0.02, 0.04)]
    variants += [replace(base, link=base.link + d) for d in (-0.04, -0.02, 0.02, 0.04)]
    variants += [replace(base, sure=base.sure + d, link=base.link + d) for d in (-0.03, 0.03)]
    grouped = by_thresholds(rows)
    for limits in variants:
        name = f"sure {limits.sure:.3f}, link {limits.link:.3f}"
        yield row(name, scores(grouped(limits), person))


def events(rows: F32, person: Labels) -> Iterator[str]:
    """Events of whole people, drawn at random; the mean over the draws."""
    yield EVENT_HEAD
    for faces, draws in EVENTS.items():
        found = []
        for seed in range(draws):
            order = np.random.default_rng(seed).permutation(person.max() + 1)
            chosen = np.argsort(order[person], kind="stable")[:faces]
            some, who = rows[chosen], person[chosen]
            found.append((scores(hdbscan_labels(some), who), scores(group_faces(some), who)))
        cells = [
            f"{np.mean([getattr(pair[kind], name) for pair in found]):{form}}"
            for kind in (0, 1)
            for name, form in (("bcubed", ".4f"), ("pairwise", ".4f"), ("strangers_grouped", ".1f"))
        ]
        worst = min(pair[1].bcubed for pair in found)
        yield f"| {faces:,} | {draws} | {' | '.join(cells)} | {worst:.4f} |"


def second_pass(rows: F32, person: Labels) -> Iterator[str]:
    """What the second pass adds to the time of the first, for events of whole people."""
    yield "\n| faces | first pass | second pass | of the first |\n|---|---|---|---|"
    order = np.random.default_rng(1).permutation(person.max() + 1)
    for faces in (100, 300, 1000, 3000, len(rows)):
        some = rows[np.argsort(order[person], kind="stable")[:faces]]
        calls = [lambda some=some: hdbscan_labels(some), lambda some=some: group_faces(some)]
        first, both = alternated(calls, 15 if faces < 2000 else 6)  # type: ignore[arg-type]
        yield (
            f"| {faces:,} | {1000 * first:.1f} ms | {1000 * (both - first):.1f} ms "
            f"| {both / first - 1:.0%} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("vectors", nargs="?", type=Path, default=LABELLED)
    stored = np.load(parser.parse_args().vectors)
    rows, person = unit_rows(stored["embedding"]), stored["person"].astype(np.intp)
    same, different = pairs(rows, person)
    limits = thresholds_from_pairs(same, different, source="these pairs")
    lines = [
        f"Calibrated on all pairs: sure {limits.sure:.4f}, link {limits.link:.4f}; "
        f"{true_accepts(same, limits.sure):.4f} and {true_accepts(same, limits.link):.4f} of the "
        "pairs of one person reach them.",
        *whole(f"all {len(rows):,} faces", rows, person),
        *held_out(rows, person),
        *sensitivity(rows, person, MEASURED),
        *events(rows, person),
        *second_pass(rows, person),
    ]
    if PHOTOS.exists():
        lines += whole("649 portraits, our detector", *portraits())
    print("\n".join(lines))
    set_table("quality", "\n".join(lines))


if __name__ == "__main__":
    main()
