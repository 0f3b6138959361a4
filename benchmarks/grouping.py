"""How well faces are grouped, beside other ways to do it, and how far that hangs on each constant.

Run it: `python -m benchmarks.grouping [part …]`; it writes the tables of docs/clustering.md.

Needs the labelled vectors and portraits that lie beside the repository.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from benchmarks.cluster_page import set_table
from benchmarks.grouping_constants import variants, with_constants
from benchmarks.grouping_cost import cost
from benchmarks.grouping_evidence import bystanders, one_photo
from benchmarks.grouping_peers import FIXED, TUNED, ours, plain_hdbscan
from benchmarks.grouping_scores import Scores, resampled, scores
from benchmarks.grouping_sets import (
    SFACE,
    Event,
    all_events,
    drawn,
    joined,
    lfw,
    outside,
)
from memoria.arrays import F64, Index
from memoria.clustering import group_faces
from memoria.clustering.thresholds import thresholds_from_pairs, true_accepts

PACK = "scrfd2.5g_mobilefacenet"
LFW_EVENTS = {30: 24, 100: 12, 300: 8, 1000: 4}
SPLITS = 3


@cache
def events() -> list[Event]:
    return list(all_events())


@cache
def found(method: Callable[[Event], Index]) -> list[Scores]:
    return [scores(method(event), event.person) for event in events()]


def means(results: list[Scores], kinds: list[str]) -> dict[str, float]:
    """The mean B-cubed F of each kind."""
    values: dict[str, list[float]] = {}
    for kind, result in zip(kinds, results, strict=True):
        values.setdefault(kind, []).append(result.bcubed)
    return {kind: float(np.mean(each)) for kind, each in values.items()}


def keys() -> list[str]:
    """A row of the tables for each event: sets apart, drawn events by size."""
    return [e.kind if e.kind.startswith("drawn") else f"{e.kind}: {e.name}" for e in events()]


def peers() -> Iterator[str]:
    """B-cubed F of every method on every set."""
    kinds = keys()
    columns = {name: found(method) for name, method in FIXED.items()}
    for name, tried in TUNED.items():
        by_cut: dict[float, list[Scores]] = {}
        for event in events():
            for cut, labels in tried(event):
                by_cut.setdefault(cut, []).append(scores(labels, event.person))
        cut = max(by_cut, key=lambda one: np.mean(list(means(by_cut[one], kinds).values())))
        columns[f"{name}, {cut:.2f}"] = by_cut[cut]
    yield f"| B-cubed F | faces | {' | '.join(columns)} |"
    yield f"|---|---|{'---|' * len(columns)}"
    table = {name: means(results, kinds) for name, results in columns.items()}
    size = {kind: len(event.rows) for kind, event in zip(kinds, events(), strict=True)}
    for kind in dict.fromkeys(kinds):
        cells = " | ".join(f"{table[name][kind]:.4f}" for name in columns)
        yield f"| {kind} | {size[kind]} | {cells} |"
    cells = " | ".join(f"{np.mean(list(table[name].values())):.4f}" for name in columns)
    yield f"| mean of the rows | | {cells} |"
    yield "\n| mean over the events | precision | recall | pairwise F | strangers grouped |"
    yield "|---|---|---|---|---|"
    for name, results in columns.items():
        yield f"| {name} | {summary(results)} |"


def summary(results: list[Scores]) -> str:
    names = ("precision", "recall", "pairwise")
    cells = [f"{np.mean([getattr(one, name) for one in results]):.4f}" for name in names]
    return " | ".join([*cells, f"{np.mean([one.strangers_grouped for one in results]):.1f}"])


def intervals() -> Iterator[str]:
    """What ours has over plain HDBSCAN, with intervals over draws of the people."""
    yield "| set | ours - HDBSCAN | 95 % of 1,000 draws of its people |"
    yield "|---|---|---|"
    total: list[F64] = []
    points = []
    for event in events():
        if event.kind == "whole":
            labels, dense = ours(event), plain_hdbscan(event)
            gain = resampled(labels, event.person) - resampled(dense, event.person)
            point = scores(labels, event.person).bcubed - scores(dense, event.person).bcubed
            yield interval(event.name, point, gain)
            total.append(gain)
            points.append(point)
    yield interval("mean of the sets", float(np.mean(points)), np.mean(total, axis=0))


def strangers() -> Iterator[str]:
    """Events with people who are seen once or twice."""
    yield "| strangers | B-cubed F | precision | recall | strangers grouped | of |"
    yield "|---|---|---|---|---|---|"
    for kind in ("half cut to two", "200 strangers"):
        some = [event for event in events() if event.kind == kind]
        there = [int(np.sum(np.bincount(e.person)[e.person] < 3)) for e in some]
        for name, method in (("HDBSCAN", plain_hdbscan), ("group_faces", ours)):
            results = [scores(method(event), event.person) for event in some]
            cells = [
                np.mean([getattr(one, column) for one in results])
                for column in ("bcubed", "precision", "recall")
            ]
            grouped = sum(one.strangers_grouped for one in results)
            numbers = " | ".join(f"{cell:.4f}" for cell in cells)
            yield f"| {kind}, {name} | {numbers} | {grouped} | {sum(there):,} |"


def interval(name: str, point: float, draws: F64) -> str:
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"| {name} | {point:+.4f} | {low:+.4f} to {high:+.4f} |"


def calibration_set() -> Iterator[str]:
    """LFW, where the pack's thresholds come from."""
    whole = lfw()
    one, other = np.triu_indices(len(whole.rows), 1)
    similarity, same = whole.similarity[one, other], whole.person[one] == whole.person[other]
    limits = thresholds_from_pairs(similarity[same], similarity[~same], source="these pairs")
    yield (
        f"Calibrated on all pairs of LFW: sure {limits.sure:.4f}, link {limits.link:.4f}; "
        f"{true_accepts(similarity[same], limits.sure):.4f} and "
        f"{true_accepts(similarity[same], limits.link):.4f} of one person's pairs reach them.\n"
    )
    yield "| LFW | B-cubed F | precision | recall | pairwise F | strangers grouped |"
    yield "|---|---|---|---|---|---|"
    every = {"5,513 faces": [whole]}
    for event in drawn(whole, LFW_EVENTS):
        every.setdefault(event.kind, []).append(event)
    for kind, some in every.items():
        for name, method in (("HDBSCAN", plain_hdbscan), ("group_faces", ours)):
            results = [scores(method(event), event.person) for event in some]
            mean = np.mean([result.bcubed for result in results])
            yield f"| {kind}, {name} | {mean:.4f} | {summary(results)} |"
    seen = np.bincount(whole.person)[whole.person]
    best = scores(np.where(seen >= 3, whole.person, -1), whole.person)
    yield f"| 5,513 faces, the best there can be | {best.bcubed:.4f} | {summary([best])} |"


def second_recogniser() -> Iterator[str]:
    """Thresholds from half of the people, judged on the other half."""
    yield "| SFace, 128-d, held half | HDBSCAN | group_faces | precision | recall |"
    yield "|---|---|---|---|---|"
    sets = outside(SFACE)
    whole = joined(sets, "", "all sets")
    rows: dict[str, list[tuple[float, Scores]]] = {}
    for split in range(SPLITS):
        coin = np.random.default_rng(split).permutation(int(whole.person.max()) + 1) % 2
        for half in (0, 1):
            here = whole.of("", np.flatnonzero(coin[whole.person] == half))
            one, other = np.triu_indices(len(here.rows), 1)
            similarity, same = here.similarity[one, other], here.person[one] == here.person[other]
            limits = thresholds_from_pairs(similarity[same], similarity[~same], source="half")
            there = [
                event.of("whole", np.flatnonzero(coin[event.person] != half)) for event in sets
            ]
            pool = joined(there, "all sets", "all sets")
            for event in [*there, pool, *drawn(pool, {30: 4, 100: 3, 300: 2})]:
                labels = group_faces(event.rows, quality=event.quality, thresholds=limits)
                dense = scores(plain_hdbscan(event), event.person).bcubed
                kind = event.kind if event.kind != "whole" else event.name
                rows.setdefault(kind, []).append((dense, scores(labels, event.person)))
    for kind, results in rows.items():
        cells = [np.mean([dense for dense, _ in results])]
        for name in ("bcubed", "precision", "recall"):
            cells.append(np.mean([getattr(ours, name) for _, ours in results]))
        yield f"| {kind} | {' | '.join(f'{cell:.4f}' for cell in cells)} |"


def sensitivity() -> Iterator[str]:
    """Every constant moved, and what one would have chosen without each set."""
    kinds = keys()
    sets = [f"whole: {event.name}" for event in events() if event.kind == "whole"]
    table: dict[str, dict[str, float]] = {}
    whole = lfw()
    yield "| constant | mean of the rows | six sets | LFW | LFW: strangers grouped |"
    yield "|---|---|---|---|---|"
    for name, settings in variants():
        with with_constants(settings):
            results = [
                scores(group_faces(e.rows, quality=e.quality, model=PACK), e.person)
                for e in events()
            ]
            crowd = scores(group_faces(whole.rows, model=PACK), whole.person)
        table[name] = means(results, kinds)
        six = np.mean([table[name][kind] for kind in sets])
        mean = np.mean(list(table[name].values()))
        yield (
            f"| {name} | {mean:.4f} | {six:.4f} | {crowd.bcubed:.4f} | {crowd.strangers_grouped} |"
        )
    yield "\n| left out | best on the others | there | as shipped |"
    yield "|---|---|---|---|"
    for held in sets:
        event = held.removeprefix("whole: ")
        others = [kind for kind in table["as shipped"] if not kind.endswith(f": {event}")]
        best = max(table, key=lambda one: np.mean([table[one][kind] for kind in others]))
        yield f"| {event} | {best} | {table[best][held]:.4f} | {table['as shipped'][held]:.4f} |"


def knobs() -> Iterator[str]:
    """What a user's settings do to an event."""
    yield "| setting | precision | recall | people found | pairs of faces joined |"
    yield "|---|---|---|---|---|"
    settings: list[dict[str, Any]] = [
        *({"epsilon": value} for value in (0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6)),
        *({"min_samples": value} for value in (1, 4, 8)),
        *({"min_cluster_size": value} for value in (2, 5, 10)),
    ]
    sets = [event for event in events() if event.kind == "whole"]
    for chosen in settings:
        results, pairs = [], 0
        for event in sets:
            labels = group_faces(event.rows, quality=event.quality, **chosen)
            sizes = np.bincount(labels[labels >= 0])
            pairs += int(np.sum(sizes * (sizes - 1)) // 2)
            results.append(scores(labels, event.person))
        name = ", ".join(f"{key} {value:g}" for key, value in chosen.items())
        precision = np.mean([one.precision for one in results])
        recall = np.mean([one.recall for one in results])
        people = sum(one.groups for one in results)
        yield f"| {name} | {precision:.4f} | {recall:.4f} | {people} | {pairs:,} |"
    yield f"\nSix sets with {sum(len(np.unique(e.person)) for e in sets)} people."


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "peers": peers,
    "intervals": intervals,
    "strangers": strangers,
    "calibration set": calibration_set,
    "second recogniser": second_recogniser,
    "knobs": knobs,
    "one photo": one_photo,
    "bystanders": bystanders,
    "sensitivity": sensitivity,
    "cost": cost,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", nargs="*", choices=[[], *PARTS], help="all of them by default")
    for part in parser.parse_args().part or PARTS:
        lines = "\n".join(PARTS[part]())
        print(f"\n{part}\n{lines}", flush=True)
        set_table(part, lines)


if __name__ == "__main__":
    main()
