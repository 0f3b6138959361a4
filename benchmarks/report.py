"""Results as JSON beside the documentation, and as the table inside it."""

import datetime
import json
import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.measures import Row
from memoria.container import cpu_threads

DOCS = Path(__file__).parents[1] / "docs"
START, END = "<!-- results -->", "<!-- end of results -->"


def line(row: Row) -> str:
    """One row as plain text."""
    limit = "" if row.limit is None else f" ({'≤' if row.at_most else '≥'} {row.limit:g})"
    figure = _figure(row.value, row.unit)
    return f"{row.what}: {figure}{limit} {row.verdict} {row.detail}".rstrip(" :")


def write(results: dict[str, list[Row]], about: dict[str, str]) -> None:
    """Merge into docs/benchmarks.json, then set the table of docs/benchmarks.md anew.

    ``about``: ``machine()`` and the models, from before the measuring.
    """
    stored = DOCS / "benchmarks.json"
    known: dict[str, Any] = json.loads(stored.read_text()) if stored.exists() else {}
    for name, rows in results.items():
        if name in known and all(row.value is None for row in rows):
            continue  # no GPU here: what another machine measured stays
        known[name] = about | {"rows": [asdict(row) | {"reached": row.verdict} for row in rows]}
    stored.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    page = DOCS / "benchmarks.md"
    text = page.read_text()
    before, after = text.split(START)[0], text.split(END)[1]
    page.write_text(f"{before}{START}\n{table(known)}\n{END}{after}")


def machine() -> dict[str, str]:
    """What the figures belong to; ``load`` is what others did on the machine just before."""
    names = [
        part for part in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in part
    ]
    cpu = names[0].partition(": ")[2] if names else platform.machine()
    return {
        "machine": f"{cpu}, {cpu_threads()} threads, {_memory_gib()} GiB",
        "versions": ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "insightface")),
        "load": f"{os.getloadavg()[0]:.1f}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def table(known: dict[str, Any]) -> str:
    """Markdown of every section that was ever measured."""
    lines = ["| what | measured | to reach | reached | in detail |", "|---|---|---|---|---|"]
    lines += [_cells(row) for section in known.values() for row in section["rows"]]
    runs: dict[str, list[str]] = {}
    for name, section in known.items():
        run = (
            f"{section['models']} on {section['machine']} at load {section['load']}; "
            f"{section['versions']}; {section['date']}"
        )
        runs.setdefault(run, []).append(f"`{name}`")
    measured = [f"- {', '.join(names)}: {run}." for run, names in runs.items()]
    return "\n".join([*lines, "", "Sections, and what they were measured with:", "", *measured])


def _cells(row: dict[str, Any]) -> str:
    limit = row["limit"]
    goal = "" if limit is None else f"{'≤' if row['at_most'] else '≥'} {limit:g} {row['unit']}"
    value = _figure(row["value"], row["unit"])
    return f"| {row['what']} | {value} | {goal.strip()} | {row['reached']} | {row['detail']} |"


def _figure(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.3g} {unit}".strip()


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
