"""A few bombs at once, each with five good photos beside it, from upload to the end of all."""

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import psycopg

from local.processes.stack import Stack, StackOptions
from tests.bombs.ceiling import Ceiling
from tests.corpus.bombs import bombs
from tests.data import any_pack, photo_of_six

BUCKET = "photos"
GOOD = 5
AT_ONCE = 6  # bombs, and thirty good photos among them
MOST_SECONDS = 300  # for all of these
MIB = 1 << 20

Ended = tuple[str, str, int]  # status, error's message, tries that failed or died


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one bomb, and of the photos beside it."""

    HEAD: ClassVar[str] = f"{'bomb':52} {'MB':>6} {'s':>5} {'MiB':>5} good  what became of it\n"

    name: str
    size: int
    seconds: float
    peak: int
    bomb: Ended
    good: list[Ended]

    @property
    def is_right(self) -> bool:
        """All good photos stored at the first try, the bomb ended."""
        return self.stored == len(self.good) and self.bomb[0] in {"completed", "failed"}

    @property
    def stored(self) -> int:
        """How many good photos were stored at the first try."""
        return sum(status == "completed" and not lost for status, _, lost in self.good)

    def line(self) -> str:
        """One line of the table."""
        status, reason, lost = self.bomb
        return (
            f"{self.name:52} {self.size / 1e6:6.2f} {self.seconds:5.1f} {self.peak // MIB:5}"
            f" {self.stored}/{len(self.good)}   {status}, {lost} lost {reason}\n"
        )


def rows(most: int | None, tell: Callable[[str], object] = len) -> Iterator[Row]:
    """A row for each of the first ``most`` bombs, the whole system running all the while.

    ``tell`` gets a sentence about the memory's ceiling in the end.
    """
    options = StackOptions(
        environ={"MODEL_DIR": str(any_pack()), "MALLOC_ARENA_MAX": "2"},
        settings={"quiet_period_seconds": 3600},
        sweep_seconds=5,
        size_limit=100 << 20,  # bombs of 62 MB: a paying project's
    )
    with Stack(options) as stack:
        stack.client().storage.create_bucket(BUCKET)
        with Ceiling(stack.services["process"].pid or 0) as ceiling:
            files = islice(bombs(), most)
            while some := list(islice(files, AT_ONCE)):
                yield from _round(stack, ceiling, some)
            tell(ceiling.told())


def _round(stack: Stack, ceiling: Ceiling, files: list[tuple[str, bytes]]) -> Iterator[Row]:
    started = time.monotonic()
    events = []
    for _, data in files:
        event = f"event {uuid.uuid4()}"
        good = [_add(stack, event, photo_of_six()) for _ in range(GOOD)]
        events.append((event, _add(stack, event, data), good))
    seconds: dict[str, float] = {}
    while len(seconds) < len(events) and time.monotonic() - started < MOST_SECONDS:
        time.sleep(0.2)
        for event, _, _ in events:
            if event not in seconds and len(_ended(stack, event)) == 1 + GOOD:
                seconds[event] = time.monotonic() - started
    peak, nothing = ceiling.take(), ("open", "", 0)
    for (name, data), (event, bomb, good) in zip(files, events, strict=True):
        ended = _ended(stack, event)
        yield Row(
            name,
            len(data),
            seconds.get(event, MOST_SECONDS),
            peak,
            ended.get(bomb, nothing),
            [ended.get(photo, nothing) for photo in good],
        )


def _add(stack: Stack, event: str, data: bytes) -> str:
    media_id = str(uuid.uuid4())
    path = f"{event}/{media_id}.jpg"
    client = stack.client()
    client.storage.from_(BUCKET).upload(path, data)
    ids = {"p_media_id": media_id, "p_event_id": event, "p_bucket": BUCKET, "p_path": path}
    client.rpc("memoria_enqueue", ids).execute()
    return media_id


def _ended(stack: Stack, event: str) -> dict[str, Ended]:
    query = (
        "select media_id, status::text, coalesce(error_message, ''), attempts + deaths"
        " from memoria.jobs"
        " where event_id = %s and kind = 'process' and status::text in ('completed', 'failed')"
    )
    with psycopg.connect(stack.database_url) as connection:
        return {row[0]: (row[1], row[2], row[3]) for row in connection.execute(query, (event,))}
