"""How well faces are grouped, and how far that hangs on thresholds and on the event.

Run it: `python -m benchmarks.grouping`.

Needs labelled vectors (an .npz with `embedding` and `person`), by default the small pack's vectors
of LFW that lie beside the repository.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.grouping_scores import Labels, Scores, scores
from memoria.clustering import group_faces, hdbscan_labels
from memoria.clustering.calibration import thresholds_from_pairs, true_accepts
from memoria.clustering.rows import F32, unit_rows
from memoria.clustering.thresholds import MEASURED, Thresholds

LABELLED = Path(__file__).parents[2] / "shared" / "embeddings" / "lfw_dev.npz"
EVENTS = {30: 40, 100: 20, 300: 10, 1000: 5, 5000: 2}  # faces: how many events are drawn


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
    "| {} | B-cubed F | precision | recall | pairwise F | strangers grouped | groups |\n"
    "|---|---|---|---|---|---|---|"
)
EVENT_HEAD = (
    "| faces | events | HDBSCAN: B-cubed F | pairwise F | strangers "
    "| group_faces: B-cubed F | pairwise F | strangers | worst B-cubed F |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def show_whole(rows: F32, person: Labels) -> None:
    print("\n" + HEAD.format(f"all {len(rows):,} faces"))
    print(row("hdbscan_labels", scores(hdbscan_labels(rows), person)))
    print(row("group_faces", scores(group_faces(rows), person)))
    seen = np.unique(person, return_inverse=True, return_counts=True)
    best = np.where(seen[2][seen[1]] >= 3, seen[1], -1)
    print(row("the best that a smallest group of 3 allows", scores(best, person)))


def show_halves(rows: F32, person: Labels) -> None:
    """Thresholds from one half of the people, applied to the other half."""
    print("\n" + HEAD.format("people held out"))
    for half in (0, 1):
        learnt = np.random.default_rng(0).permutation(person.max() + 1)[person] % 2 == half
        same, different = pairs(rows[learnt], person[learnt])
        limits = thresholds_from_pairs(same, different, source="the other half")
        name = f"sure {limits.sure:.3f}, link {limits.link:.3f} (true accepts "
        name += f"{true_accepts(same, limits.sure):.4f}, {true_accepts(same, limits.link):.4f})"
        labels = group_faces(rows[~learnt], thresholds=limits)
        print(row(name, scores(labels, person[~learnt])))


def show_thresholds(rows: F32, person: Labels, base: Thresholds) -> None:
    print("\n" + HEAD.format("thresholds"))
    variants = [replace(base, sure=base.sure + d) for d in (-0.04, -0.02, 0, 0.02, 0.04)]
    variants += [replace(base, link=base.link + d) for d in (-0.04, -0.02, 0.02, 0.04)]
    variants += [replace(base, margin=m) for m in (0.04, 0.06, 0.1, 0.12)]
    variants += [replace(base, face_margin=m) for m in (0.1, 0.12, 0.18, 0.2)]
    for limits in variants:
        name = f"sure {limits.sure:.3f}, link {limits.link:.3f}, margins "
        name += f"{limits.margin:.2f}, {limits.face_margin:.2f}"
        print(row(name, scores(group_faces(rows, thresholds=limits), person)))


def show_events(rows: F32, person: Labels) -> None:
    """Events of whole people, drawn at random; the mean over the draws."""
    print("\n" + EVENT_HEAD)
    for faces, events in EVENTS.items():
        found = []
        for seed in range(events):
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
        print(f"| {faces:,} | {events} | {' | '.join(cells)} | {worst:.4f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", nargs="?", type=Path, default=LABELLED)
    stored = np.load(parser.parse_args().vectors)
    rows, person = unit_rows(stored["embedding"]), stored["person"].astype(np.intp)
    same, different = pairs(rows, person)
    print("calibrated on all pairs:", thresholds_from_pairs(same, different, source="these pairs"))
    show_whole(rows, person)
    show_halves(rows, person)
    show_thresholds(rows, person, MEASURED)
    show_events(rows, person)


if __name__ == "__main__":
    main()
