"""``memoria migrate-model``: the vectors of events made anew, by the pack that *process* runs."""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from memoria.cli.environment import environment
from memoria.cli.inputs import ask, photos_of, positive, text_of
from memoria.clustering.thresholds import thresholds_for
from memoria.config import Settings
from memoria.errors import InvalidRequest
from memoria.store.client import open_client

if TYPE_CHECKING:
    from supabase import Client

Json = dict[str, Any]
PATIENCE_SECONDS = 30.0
_DESCRIPTION = """
Looks again at every photo whose vectors another pack made, event by event: one event at a time,
its photos as many at a time as the queue allows (max_in_flight). Deploy process with the other
MODEL_PACK first. Names, corrections, covers and whoever was forgotten stay; the event can be read
and corrected all the while. What is queued is worked off also when this command is gone: interrupt
it whenever you like, and run the same command again to go on.
"""


def add_parser(subparsers: Any) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "migrate-model",
        help="move events to another model pack",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("event", nargs="*", metavar="EVENT", help="ids of events")
    parser.add_argument("--events", type=Path, metavar="FILE", help="more ids, one a line")
    parser.add_argument(
        "--model", default="", metavar="PACK", help="the pack (what process says that it runs)"
    )
    parser.add_argument(
        "--stuck",
        type=positive,
        default=30,
        metavar="MINUTES",
        help="give up without progress (30)",
    )


def run(args: argparse.Namespace) -> int:
    """Do it. Returns 0 where every photo that can be read has vectors of the pack."""
    events = [*args.event, *(_listed(args.events) if args.events else [])]
    if not events:
        raise InvalidRequest("name an event, or a file of events with --events")
    unneeded = {"CALLBACK_URL": "off", "WEBHOOK_SECRET": "unneeded"}
    settings = Settings.from_env({**environment(), **unneeded})
    client = open_client(settings)
    model = args.model or running_model(client)
    if not thresholds_for(model, settings.similarity_thresholds).verified:
        print(f"{model}: its thresholds are unverified, see `memoria calibrate`", file=sys.stderr)
    return int(not all([migrate(client, event, model, args.stuck * 60) for event in events]))


def running_model(client: "Client") -> str:
    """The pack that *process* runs. Raises InvalidRequest where it does not say."""
    url = ask(client, "memoria_doctor", {}, "settings")["settings"].get("process_url")
    try:
        told = httpx.get(f"{url}/health", timeout=PATIENCE_SECONDS).json().get("model")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError):
        told = None
    if not told:
        raise InvalidRequest(f"process at {url} does not say which pack it runs: give --model")
    return str(told)


def migrate(client: "Client", event: str, model: str, stuck_seconds: float) -> bool:
    """One event, to its end. Returns whether every photo that can be read is of the model then."""
    before = models(client, event)
    if before.keys() - {model} or before.total() == 0:
        status = _status(client, event)
        if not status["photos"]["pending"]:  # else an earlier run has queued it
            ask(client, "memoria_reprocess", {"p_event_id": event})
        if not _settled(client, event, stuck_seconds):
            print(f"{event}: nothing moves, see `memoria doctor`", file=sys.stderr)
            return False
    after = models(client, event)
    others = after.total() - after[model]
    unread = f", {others} could not be read again and keep their vectors" if others else ""
    print(f"{event}: {after[model]} photos of {model}{unread}", flush=True)
    return not others


def models(client: "Client", event: str) -> Counter[str]:
    """How many photos of the event have faces by each pack; a photo not looked at has none."""
    return Counter(str(photo["model"]) for photo in photos_of(client, event) if photo["model"])


def _status(client: "Client", event: str) -> Json:
    fields = ("photos", "done", "clustering")
    return ask(client, "memoria_event_status", {"p_event_id": event}, *fields)


def _settled(client: "Client", event: str, stuck_seconds: float) -> bool:
    """Wait until nothing is left to do; False after so long without any progress."""
    seen, since = None, time.monotonic()
    while time.monotonic() - since < stuck_seconds:
        status = _status(client, event)
        if status["done"]:
            return True
        now = (status["photos"]["pending"], status["clustering"])
        if now != seen:
            seen, since = now, time.monotonic()
            _tell(f"{event}: {now[0]} photos to go")
        time.sleep(1)
    return False


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()


def _listed(path: Path) -> list[str]:
    return [line.strip() for line in text_of(path).splitlines() if line.strip()]
