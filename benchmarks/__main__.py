"""Speed, memory and waking, measured on this machine and written into docs/benchmarks.md.

    python -m benchmarks [SECTION …] [--pack FOLDER] [--no-write]

Everything is a ratio of two things measured in turns in one run, or an absolute figure with the
machine named. Without a real buffalo_l (``--pack`` or MODEL_DIR) its twins are measured.
"""

import argparse
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from benchmarks import report, twins
from benchmarks.measures import Row, Unsteady

# Imported on demand, so that one section does not hold another's memory.
SECTIONS = {
    "peak": "peak",
    "request": "speed",
    "throughput": "speed",
    "concurrency": "speed",
    "cold_start": "waking",
    "cluster_start": "waking",
    "endurance": "waking",
    "second_gear": "second_gear",
    "gpu": "gpu",
}


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("section", nargs="*", help=", ".join(SECTIONS))
    parser.add_argument("--pack", type=Path, default=os.environ.get("MODEL_DIR"))
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks.md alone")
    args = parser.parse_args()
    if unknown := set(args.section) - set(SECTIONS):
        parser.error(f"unknown section: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        real = args.pack is not None and (Path(args.pack) / "w600k_r50.onnx").exists()
        pack = Path(folder) / (Path(args.pack).name if real else "buffalo_l")
        if real:  # a copy: beside it lies what the image would hold
            shutil.copytree(args.pack, pack)
        else:
            twins.make(pack)
        about = report.machine() | {"models": twins.told(pack)}
        results = steady_ones(args.section or SECTIONS, pack)
    if not args.no_write:
        report.write(results, about)
    missed = [row.what for rows in results.values() for row in rows if row.verdict == "no"]
    print(json.dumps({name: [asdict(row) for row in rows] for name, rows in results.items()}))
    return 1 if missed or len(results) < len(args.section or SECTIONS) else 0


def steady_ones(sections: Iterable[str], pack: Path) -> dict[str, list[Row]]:
    """The rows of each section. One whose repeats disagree has none: it keeps what it had."""
    results = {}
    for name in sections:
        try:
            results[name] = measure(name, pack)
        except Unsteady as problem:
            print(f"  {name}: {problem}: the machine is busy, nothing is written", file=sys.stderr)
    return results


def measure(name: str, pack: Path) -> list[Row]:
    """One section's rows, told on stderr while they come."""
    started = time.monotonic()
    print(f"{name} …", file=sys.stderr, flush=True)
    rows: list[Row] = getattr(importlib.import_module(f"benchmarks.{SECTIONS[name]}"), name)(pack)
    for row in rows:
        print(f"  {report.line(row)}", file=sys.stderr, flush=True)
    print(f"  ({time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
