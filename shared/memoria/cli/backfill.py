"""``memoria backfill``: enqueue the photos that a bucket or a table already holds."""

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from memoria.cli.environment import environment
from memoria.cli.inputs import ask, positive
from memoria.cli.inventory import Item, LeftOut, items_of, unknown
from memoria.cli.terminal import plain
from memoria.config import Settings
from memoria.store.client import open_client

if TYPE_CHECKING:
    from supabase import Client

_AT_ONCE = 500  # photos handed over in one call, at most
_DESCRIPTION = """
Enqueues every photo of SOURCE once. Enqueueing is cheap; how many photos are worked on at a time
is the database's to decide (max_in_flight). A journal remembers what was enqueued: interrupt it
whenever you like, and run the same command again to go on. It lies in ~/.local/state/memoria (or
XDG_STATE_HOME), one for each source, --event, project and key. It does not know what was deleted
since: remove it, and everything is handed over again, which changes nothing of what is there.

SOURCE is storage://BUCKET[/FOLDER] (Supabase Storage), gs://BUCKET[/FOLDER] (Google Cloud Storage),
table:NAME (rows that the Data API shows), or a CSV file with a header. Tables and files need the
columns media_id, event_id, bucket and path; --column maps other names, --event and --bucket fill in
for missing ones.

Of a bucket, it takes names that end as photos and cameras' RAW files do, and names without an
ending, such as USER/UUID; how many it left out is told by their endings. What a file is, its bytes
tell later. A photo without an id gets one from its bucket and path; what the event has already
under another id, and what is the preview of one of its photos, is left out and counted. Other
events are not looked into: where folders are users or albums, no option names the right event,
but a table or a file does.
"""


def add_parser(subparsers: Any) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "backfill",
        help="enqueue what a bucket or a table already holds",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE")
    event = parser.add_mutually_exclusive_group()
    event.add_argument("--event", default="", metavar="ID", help="the event of every photo")
    event.add_argument(
        "--event-from-folder", action="store_true", help="the first folder below FOLDER names it"
    )
    parser.add_argument("--bucket", default="", help="the bucket of a table's or file's paths")
    parser.add_argument(
        "--column", action="append", default=[], metavar="OURS=YOURS", help="such as media_id=id"
    )
    parser.add_argument("--rate", type=positive, default=50.0, help="photos enqueued a second (50)")
    parser.add_argument("--journal", type=Path, help="where to remember what was enqueued")
    parser.add_argument("--dry-run", action="store_true", help="list what would be enqueued")


def run(args: argparse.Namespace) -> int:
    """Do it. Returns the exit status."""
    # Two of the services' settings are all it needs; what the others are does not matter here.
    unneeded = {"CALLBACK_URL": "off", "WEBHOOK_SECRET": "unneeded"}
    settings = Settings.from_env({**environment(), **unneeded})
    client = open_client(settings)
    left_out = LeftOut()
    items = items_of(args, client, left_out)
    if args.dry_run:
        refused = _list(unknown(client, items, left_out))
    else:
        refused = _hand_over(args, settings, client, items, left_out)
    for line in left_out.lines():
        print(plain(line), file=sys.stderr)
    return 1 if refused else 0


def _list(items: Iterable[Item]) -> Mapping[str, str]:
    for item in items:
        cells = (item.event_id, item.media_id, item.bucket, item.path)
        print(*(plain(cell) for cell in cells), sep="\t")
    return {}


def _hand_over(
    args: argparse.Namespace,
    settings: Settings,
    client: "Client",
    items: Iterable[Item],
    left_out: LeftOut,
) -> Mapping[str, str]:
    """Enqueue what the journal does not hold. Returns the photos that were refused, and why."""
    path = args.journal or _journal_of(args, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    done = _journalled(path)
    with _opened(path) as journal, _progress(len(done)) as advance:
        fresh = (item for item in items if item.media_id not in done)
        new = unknown(client, fresh, left_out)  # no event is read of which all is journalled
        count, refused = enqueue(client, new, journal, rate=args.rate, advance=advance)
    for media_id, reason in refused.items():
        print(f"not enqueued: {plain(media_id)}: {plain(reason)}", file=sys.stderr)
    print(f"{_were(count)} enqueued.{_before(len(done), path)}", file=sys.stderr)
    return refused


def _were(count: int) -> str:
    return "1 photo was" if count == 1 else f"{count} photos were"


def _before(count: int, journal: Path) -> str:
    """What an earlier run has handed over."""
    if not count:
        return ""
    return f" {_were(count)} enqueued before: to do so again, remove {journal}"


def enqueue(
    client: "Client", items: Iterable[Item], journal: TextIO, *, rate: float, advance: Any
) -> tuple[int, dict[str, str]]:
    """Enqueue the items at ``rate`` a second, journal them after each call.

    Returns how many there were, and by the id of each photo that was refused, why.
    """
    count, pending = 0, iter(items)
    refused: dict[str, str] = {}
    while batch := list(islice(pending, max(1, min(_AT_ONCE, int(rate))))):
        started = time.monotonic()
        for event_id in dict.fromkeys(item.event_id for item in batch):
            photos = [item for item in batch if item.event_id == event_id]
            not_taken = _enqueue_many(client, event_id, photos)
            taken = [item.media_id for item in photos if item.media_id not in not_taken]
            journal.writelines(json.dumps(media_id) + "\n" for media_id in taken)
            journal.flush()
            advance(len(taken))
            refused |= not_taken
            count += len(taken)
        time.sleep(max(0.0, started + len(batch) / rate - time.monotonic()))
    return count, refused


def _enqueue_many(client: "Client", event_id: str, items: list[Item]) -> dict[str, str]:
    """One call. Returns the photos that were refused, by their ids, and why."""
    photos = [
        {"media_id": item.media_id, "bucket": item.bucket, "path": item.path} for item in items
    ]
    params = {"p_event_id": event_id, "p_media": photos}
    answers = ask(client, "memoria_enqueue_many", params, "media")["media"]
    return {one["media_id"]: one["error"]["message"] for one in answers if "error" in one}


def _journal_of(args: argparse.Namespace, settings: Settings) -> Path:
    """The key tells databases apart that had one URL in turn, as those on one's machine do."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    key = settings.supabase_service_role_key.get_secret_value()
    parts = (settings.supabase_url, key, args.source, args.event)
    name = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return state / "memoria" / f"backfill-{name}.journal"


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The journal; a run that enqueues nothing leaves none behind."""
    is_new = not path.exists()
    with path.open("a", encoding="utf-8") as journal:
        try:
            yield journal
        finally:
            if is_new and not path.stat().st_size:  # nor did another run write to it
                path.unlink()


def _journalled(path: Path) -> set[str]:
    """One JSON string a line. What was cut off is enqueued once more, which changes nothing."""
    done: set[str] = set()
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
            with suppress(ValueError, RecursionError):
                known = json.loads(line)
                done |= {known} if isinstance(known, str) else set()
    return done


@contextmanager
def _progress(already: int) -> Iterator[Any]:
    """A bar where rich is installed and someone watches, else silence."""
    try:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        yield lambda _: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed} photos enqueued, {task.speed} a second"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("enqueue", total=None, completed=already)
        yield lambda steps: bar.advance(task, steps)
