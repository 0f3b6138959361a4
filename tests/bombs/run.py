"""One bomb and five good photos at a time, from upload to the end of all six."""

import time
import uuid
from collections.abc import Iterator
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
MOST_SECONDS = 180  # for six photos
MIB = 1 << 20

Ended = tuple[str, str, int]  # status, error's message, attempts


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
        """All good photos stored with attempt 1, the bomb ended."""
        stored = all(status == "completed" and attempts == 1 for status, _, attempts in self.good)
        return stored and self.bomb[0] in {"completed", "failed"}

    def line(self) -> str:
        """One line of the table."""
        stored = sum(ended[0] == "completed" and ended[2] == 1 for ended in self.good)
        status, reason, attempts = self.bomb
        return (
            f"{self.name:52} {self.size / 1e6:6.2f} {self.seconds:5.1f} {self.peak // MIB:5}"
            f" {stored}/{len(self.good)}   {status}, {attempts} attempt(s) {reason}\n"
        )


def rows(most: int | None) -> Iterator[Row]:
    """A row for each of the first ``most`` bombs, the whole system running all the while."""
    options = StackOptions(
        environ={"MODEL_DIR": str(any_pack()), "MALLOC_ARENA_MAX": "2"},
        settings={"quiet_period_seconds": 3600},
        sweep_seconds=5,
    )
    with Stack(options) as stack:
        stack.client().storage.create_bucket(BUCKET)
        with Ceiling(stack.services["process"].pid or 0) as ceiling:
            for name, data in islice(bombs(), most):
                yield _row(stack, ceiling, name, data)


def _row(stack: Stack, ceiling: Ceiling, name: str, data: bytes) -> Row:
    event, started = f"event {uuid.uuid4()}", time.monotonic()
    bomb = _add(stack, event, data)
    good = [_add(stack, event, photo_of_six()) for _ in range(GOOD)]
    while True:
        ended = _ended(stack, event)
        if len(ended) == 1 + GOOD or time.monotonic() - started > MOST_SECONDS:
            break
        time.sleep(0.2)
    seconds = time.monotonic() - started
    nothing = "open", "", 0
    return Row(
        name,
        len(data),
        seconds,
        ceiling.take(),
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
        "select media_id, status::text, coalesce(error_message, ''), attempts from memoria.jobs"
        " where event_id = %s and kind = 'process' and status::text in ('completed', 'failed')"
    )
    with psycopg.connect(stack.database_url) as connection:
        return {row[0]: (row[1], row[2], row[3]) for row in connection.execute(query, (event,))}
