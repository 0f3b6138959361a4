"""Exact HDBSCAN against its peers, as ratios of one run: `python -m benchmarks.cluster`.

Each measurement runs in a process of its own, in turns, so that its peak memory is its own and a
busy minute meets all. The faces are made: centres of people plus noise, with the similarities of
real ones (same person about 0.68, strangers 0.00 ± 0.10) and the sizes of an event; no benchmark of
this size needs real people. Writes the table of docs/clustering.md; sizes that this run leaves
out stay as they were measured last.
"""

import argparse
import json
import logging
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.cluster_page import set_rows

F32 = NDArray[np.float32]
DIMENSIONS = 512
FREE_DIMENSIONS = 105  # of the centres: strangers' similarities spread by 1 / sqrt of it
SAME_PERSON = 0.68
BLOCK = 1024
FAST_NEIGHBOURS = 50


def made_faces(count: int, seed: int = 0) -> F32:
    """(count, 512) float32 unit rows of people seen once or twice, some ten times, few often."""
    rng = np.random.default_rng(seed)
    sizes = np.minimum(rng.zipf(1.8, count), 500)
    person = np.repeat(np.arange(count), sizes)[:count]
    basis = rng.normal(size=(FREE_DIMENSIONS, DIMENSIONS)).astype(np.float32)
    centres = rng.normal(size=(int(person.max()) + 1, FREE_DIMENSIONS)).astype(np.float32) @ basis
    centres *= np.sqrt(SAME_PERSON) / np.linalg.norm(centres, axis=1, keepdims=True)
    noise = rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
    noise *= np.sqrt((1 - SAME_PERSON) / DIMENSIONS)
    noise += centres[person]
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    return noise[rng.permutation(count)]


def ours(rows: F32) -> None:
    from memoria.clustering import hdbscan_labels

    hdbscan_labels(rows)


def grouped(rows: F32) -> None:
    from memoria.clustering import group_faces

    group_faces(rows)


def product(rows: F32) -> None:
    """One float32 product of all rows with all rows, in blocks."""
    block = np.empty((BLOCK, len(rows)), dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        left = rows[start : start + BLOCK]
        np.matmul(left, rows.T, out=block[: len(left)])


def package(rows: F32) -> None:
    from hdbscan import HDBSCAN

    HDBSCAN(min_cluster_size=3, min_samples=2).fit(rows)


def scikit_learn(rows: F32) -> None:
    from sklearn.cluster import HDBSCAN

    HDBSCAN(min_cluster_size=3, min_samples=2, copy=True).fit(rows)


def fast(rows: F32) -> None:
    """In 512 dimensions it wants a graph of neighbours: here it gets the exact ones."""
    from fast_hdbscan import HDBSCAN
    from sklearn.neighbors import kneighbors_graph

    graph = kneighbors_graph(rows, FAST_NEIGHBOURS, mode="distance", metric="cosine")
    graph.data = graph.data.clip(0)
    HDBSCAN(min_cluster_size=3, min_samples=2, metric="precomputed").fit(graph)


CALLS: dict[str, Callable[[F32], None]] = {
    "X @ X.T in blocks": product,
    "hdbscan_labels": ours,
    "group_faces": grouped,
    "hdbscan": package,
    "scikit-learn": scikit_learn,
    f"fast_hdbscan, {FAST_NEIGHBOURS} neighbours": fast,
}
OURS = list(CALLS)[:3]
ROUNDS = {1000: 5, 5513: 3, 8000: 2, 20_000: 3}
PEERS_UP_TO = 8000  # beyond, they take many minutes
PEERS_IN_TURN_UP_TO = 1000  # beyond, one turn of theirs is enough
SECOND_PASS_UP_TO = 20_000
LONGEST_S = 1800  # of one child

Figures = dict[str, float]


def measure(name: str, faces: int) -> Figures:
    """Seconds and peak memory of one call; runs in the child."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    call = CALLS[name]
    call(made_faces(200))  # imports and compilation are not what is compared
    rows = made_faces(faces)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(5 if faces <= 1000 and name in OURS else 1):
        started = time.perf_counter()
        call(rows)
        times.append(time.perf_counter() - started)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": min(times), "peak_mb": after / 1e3, "peak_before_mb": before / 1e3}


def in_child(name: str, faces: int) -> Figures:
    """What a child measured; nothing where it fails or takes too long."""
    command = [sys.executable, "-m", "benchmarks.cluster", "--one", name, "--faces", str(faces)]
    try:
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, timeout=LONGEST_S
        )
    except subprocess.SubprocessError as problem:
        print(f"{name}: {problem}", file=sys.stderr)
        return {}
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def compared(faces: int) -> dict[str, Figures]:
    """The best time and the highest peak of each, taken in turns."""
    best: dict[str, Figures] = {}
    for turn in range(ROUNDS.get(faces, 1)):
        for name in CALLS:
            if left_out(name, faces, turn):
                continue
            found = in_child(name, faces)
            print(f"{faces} {name} {found}", file=sys.stderr)
            if found:
                known = best.setdefault(name, found)
                known["seconds"] = min(known["seconds"], found["seconds"])
                known["peak_mb"] = max(known["peak_mb"], found["peak_mb"])
    return best


def left_out(name: str, faces: int, turn: int) -> bool:
    """What would take too long."""
    if name not in OURS:
        return faces > PEERS_UP_TO or (turn > 0 and faces > PEERS_IN_TURN_UP_TO)
    return name == "group_faces" and faces > SECOND_PASS_UP_TO


def table_rows(found: dict[str, Figures]) -> list[str]:
    """Markdown of one size."""
    mine = found["hdbscan_labels"]["seconds"]
    return [
        f"{name} | {of['seconds']:.3f} s | {of['seconds'] / mine:.2f} | {of['peak_mb']:,.0f} MB"
        for name, of in found.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faces", type=int, nargs="*", default=[1000, 5513, 8000, 20_000])
    parser.add_argument("--one", choices=CALLS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(chosen.one, chosen.faces[0])))
        return
    for faces in chosen.faces:
        rows = table_rows(compared(faces))
        print(*rows, sep="\n")
        set_rows("speed", faces, rows)


if __name__ == "__main__":
    main()
