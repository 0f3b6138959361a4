"""``python -m tests.chaos``: a thousand photos through every fault, see docs/delivery.md."""
# ruff: noqa: T201 - a command prints

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.findings import find
from tests.chaos.outages import Chaos
from tests.chaos.pack import make_pack
from tests.chaos.photos import plan
from tests.chaos.report import budget, tables
from tests.chaos.run import run_in_chaos, run_quietly


def main(argv: list[str] | None = None) -> int:
    """Run, print the tables, and return 1 where a promise was broken or a fault was left out."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--photos", type=int, default=1050)
    parser.add_argument("--events", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=40, help="of function processes")
    parser.add_argument("--seconds", type=float, default=720, help="patience with each run")
    asked = parser.parse_args(argv)
    photos = plan(asked.photos, asked.events, asked.seed)
    chaos = Chaos(
        kills=asked.kills, kill_every=len(photos) // asked.kills, freezes=4,
        cluster_kills=5, crashes=(0.3, 0.7),
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="memoria-chaos-") as folder:
        pack = make_pack(Path(folder) / "tiny")
        print(f"{len(photos)} photos, seed {asked.seed}: first without faults …", flush=True)
        quiet = run_quietly(photos, pack, asked.seconds)
        print(f"done in {quiet.seconds:.0f} s; now with every fault …", flush=True)
        disturbed = run_in_chaos(photos, pack, chaos, asked.seed, asked.seconds)
    print(f"done in {disturbed.seconds:.0f} s\n")
    findings = find(photos, quiet, disturbed)
    short = budget(disturbed.injected, chaos)
    print(tables(disturbed, findings, short))
    return 1 if short or any(finding.broken for finding in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
