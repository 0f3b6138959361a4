"""Exact HDBSCAN against its peers, as ratios of one run: `python -m benchmarks.cluster`.

Each measurement runs in a process of its own, so that its peak memory is its own. The faces are
made: centres of people plus noise, with the similarities of real ones (same person about 0.68,
strangers 0.00 ± 0.10) and the sizes of an event; no benchmark of this size needs real people.
"""

import argparse
import json
import logging
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
DIMENSIONS = 512
FREE_DIMENSIONS = 105  # of the centres: strangers' similarities spread by 1 / sqrt of it
SAME_PERSON = 0.68
BLOCK = 1024


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
    from fast_hdbscan import HDBSCAN

    # above 30 dimensions it goes by approximate neighbours; its exact way is the whole matrix
    distances = np.maximum(1 - rows @ rows.T, 0).astype(np.float64)
    HDBSCAN(min_cluster_size=3, min_samples=2, metric="precomputed").fit(distances)


CALLS: dict[str, Callable[[F32], None]] = {
    "hdbscan_labels": ours,
    "group_faces": grouped,
    "blocked X @ X.T": product,
    "hdbscan": package,
    "scikit-learn": scikit_learn,
    "fast_hdbscan": fast,
}
ROUNDS = {1000: 3, 8000: 1, 20_000: 2, 100_000: 1}
PEERS = {1000: 3, 8000: 1}  # beyond, they take minutes


def measure(name: str, faces: int) -> dict[str, float]:
    """Seconds (the best of the rounds) and peak memory of one call; runs in the child."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    call = CALLS[name]
    call(made_faces(200))  # imports and compilation are not what is compared
    rows = made_faces(faces)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(ROUNDS.get(faces, 1)):
        started = time.perf_counter()
        call(rows)
        times.append(time.perf_counter() - started)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": min(times), "peak_mb": after / 1e3, "peak_before_mb": before / 1e3}


def in_child(name: str, faces: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.cluster", "--one", name, "--faces", str(faces)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(f"{name} cannot do this: {done.stderr.splitlines()[-1]}", file=sys.stderr)
        return {}
    sys.stderr.write(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compared(faces: int) -> dict[str, dict[str, float]]:
    names = ["blocked X @ X.T", "hdbscan_labels", "group_faces"]
    if faces in PEERS:
        names += ["hdbscan", "scikit-learn", "fast_hdbscan"]
    return {name: in_child(name, faces) for name in names}


def show(faces: int, found: dict[str, dict[str, float]]) -> None:
    mine = found["hdbscan_labels"]["seconds"]
    for name, value in found.items():
        if not value:
            continue
        ratio = value["seconds"] / mine
        print(
            f"| {faces:,} | {name} | {value['seconds']:.3f} s | {ratio:.2f} × "
            f"| {value['peak_mb']:,.0f} MB |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, nargs="*", default=[1000, 8000, 20_000])
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--one", choices=CALLS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(chosen.one, chosen.faces[0])))
        return
    print("| faces | what | time | against hdbscan_labels | peak memory |\n|---|---|---|---|---|")
    results = {}
    for faces in chosen.faces:
        results[faces] = compared(faces)
        show(faces, results[faces])
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
