"""``memoria status``: how much work waits, how old it is, and what failed why."""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

from memoria.cli.environment import environment
from memoria.cli.inputs import ask, positive
from memoria.cli.terminal import plain
from memoria.config import Settings
from memoria.contracts import Json
from memoria.store.client import open_client

_KINDS = ("process", "cluster", "callback")
_FIELDS = ("queue", "in_flight", "oldest_waiting", "outages", "failures", "archived")
_STATES = ("queued", "dispatched", "running", "completed", "failed", "cancelled")


def add_parser(subparsers: Any) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("status", help="queue depth, oldest waiting, failures by reason")
    parser.add_argument("--json", action="store_true", help="as the database gives it")
    parser.add_argument("--watch", type=positive, metavar="SECONDS", help="again and again")


def run(args: argparse.Namespace) -> int:
    """Show it. Returns 0 while nothing is dead, 1 where some work waits for an operator."""
    unneeded = {"CALLBACK_URL": "off", "WEBHOOK_SECRET": "unneeded"}
    client = open_client(Settings.from_env({**environment(), **unneeded}))
    with client.options.httpx_client or nullcontext():
        while True:
            status = ask(client, "memoria_status", {}, *_FIELDS)
            text = json.dumps(status, indent=2) if args.json else "\n".join(report(status))
            print(text, flush=True)
            if args.watch is None:
                return 1 if status["failures"] else 0
            time.sleep(args.watch)


def report(status: Json) -> Iterator[str]:
    """The lines that tell what ``memoria_status`` answered."""
    yield from _table(("work", *_STATES, "in flight"), _depths(status))
    yield ""
    waiting = [_oldest(row) for row in status["oldest_waiting"]]
    if waiting:
        yield from _table(("oldest waiting", "for", "event", "photo", "tries"), waiting)
    else:
        yield "Nothing is waiting."
    yield ""
    outages = [
        (row["kind"], row["code"] or "", str(row["jobs"]), row["last_message"] or "")
        for row in status["outages"]
    ]
    if outages:
        yield from _table(("held up", "reason", "jobs", "last message"), outages)
        yield ""
    failures = [
        (row["kind"], row["code"], str(row["jobs"]), row["last_message"] or "")
        for row in status["failures"]
    ]
    if failures:
        yield from _table(("failed", "reason", "jobs", "last message"), failures)
    else:
        yield "Nothing has failed."
    yield from _archived(status["archived"])


def _archived(told: Json) -> Iterator[str]:
    photos, events = told["photos"], told["events"]
    if photos:
        yield ""
        whose = "an archived event" if events == 1 else f"{events} archived events"
        which = f"{photos} {'photo' if photos == 1 else 'photos'} of {whose}"
        yield f"Not looked at: {which}; memoria_reopen_event looks at them."


def _depths(status: Json) -> Iterator[Sequence[str]]:
    jobs = {(row["kind"], row["status"]): row["jobs"] for row in status["queue"]}
    for kind in _KINDS:
        room = status["in_flight"][kind]
        counts = (str(jobs.get((kind, state), 0)) for state in _STATES)
        yield (kind, *counts, f"{room['now']} of {room['most']}")


def _oldest(row: Json) -> Sequence[str]:
    age = duration(row["seconds"])
    return (row["kind"], age, row["event_id"], row["media_id"] or "-", str(row["attempts"]))


def duration(seconds: float) -> str:
    """Seconds in words of one or two units: ``"45 s"``, ``"3 min 5 s"``, ``"2 h 0 min"``."""
    whole = int(seconds)
    for size, name, small, small_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            return f"{whole // size} {name} {whole % size // small} {small_name}"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def _table(head: Sequence[str], rows: Any) -> Iterator[str]:
    lines = [[plain(cell) for cell in line] for line in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        yield "  ".join(cells).rstrip()
