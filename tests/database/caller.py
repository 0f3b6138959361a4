"""Calls the SQL functions as PostgREST does, and makes what the worker would send."""

import json
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from local.processes.postgres import Postgres
from tests.answers import check_function

Json = dict[str, Any]
Box = tuple[float, float, float, float]


@dataclass
class Caller:
    """One connection of the API's login role, which takes on ``role`` for each call."""

    url: str  # as the role authenticator
    role: str
    user: UUID | None = None

    def __post_init__(self) -> None:
        self.connection = psycopg.connect(self.url, autocommit=True)

    def __call__(self, function: str, **arguments: Any) -> Any:
        """``caller("claim", kind="process", …)`` → what ``public.memoria_claim`` answers."""
        call = sql.SQL("select public.{}({})").format(
            sql.Identifier(f"memoria_{function}"),
            sql.SQL(", ").join(
                sql.SQL("{} => {}").format(sql.Identifier(f"p_{name}"), sql.Placeholder(name))
                for name in arguments
            ),
        )
        sent = {
            name: json.dumps(value) if _is_json(value) else value
            for name, value in arguments.items()
        }
        claims = {"role": self.role} | ({"sub": str(self.user)} if self.user else {})
        with self.connection.transaction():
            self.connection.execute(
                "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                (self.role, json.dumps(claims)),
            )
            row = self.connection.execute(call, sent).fetchone()
        assert row is not None
        check_function(f"memoria_{function}", row[0])
        return row[0]

    def enqueue(self, media: str, event: str = "party", path: str | None = None) -> Json:
        path = path or f"{event}/{media}.jpg"
        answer: Json = self("enqueue", media_id=media, event_id=event, bucket="photos", path=path)
        return answer

    def claim(self, job: Json, kind: str = "process") -> Json:
        """Claims a job as ``memoria_enqueue`` or a row of dispatches names it."""
        answer: Json = self(
            "claim", kind=kind, job_id=str(job["job_id"]),
            event_id=job["event_id"], media_id=job.get("media_id"),
        )  # fmt: skip
        return answer

    def complete(
        self, claim: Json, boxes: Sequence[Box] = (), model: str = "pack", digest: str | None = None
    ) -> Json:
        answer: Json = self(
            "complete_media", job_id=claim["job_id"], token=claim["token"],
            result=result(boxes, model) | ({"digest": digest} if digest else {}),
        )  # fmt: skip
        return answer

    def fail(
        self, claim: Json, *, terminal: bool = False, outside: bool = False,
        code: str = "unreadable_media",
    ) -> Json:  # fmt: skip
        policy = "terminal" if terminal else "outside" if outside else "attempt"
        answer: Json = self(
            "fail", job_id=claim["job_id"], token=claim["token"],
            code=code, message="It did not work.", policy=policy,
        )  # fmt: skip
        return answer

    def process(self, media: str, boxes: Sequence[Box] = (), event: str = "party") -> Json:
        """A photo all the way."""
        return self.complete(self.claim(self.enqueue(media, event)), boxes)


@dataclass
class Database:
    """A fresh, migrated database, seen by everyone who has to do with it."""

    server: Postgres
    name: str

    def __post_init__(self) -> None:
        self.url = self.server.url_of(self.name)
        self._open = ExitStack()
        self.admin = self._open.enter_context(psycopg.connect(self.url, autocommit=True))
        self.service = self.caller("service_role")

    def caller(self, role: str, user: UUID | None = None) -> Caller:
        caller = Caller(self.server.url_of(self.name, "authenticator"), role, user)
        self._open.enter_context(caller.connection)
        return caller

    def close(self) -> None:
        self._open.close()

    def rows(self, query: str, *arguments: Any) -> list[Any]:
        """Rows of one query, as tuples; as plain values where there is one column."""
        found = self.admin.execute(query.encode(), arguments or None).fetchall()
        return [row[0] if len(row) == 1 else row for row in found]

    def value(self, query: str, *arguments: Any) -> Any:
        (only,) = self.rows(query, *arguments)
        return only

    def do(self, command: str, *arguments: Any) -> None:
        self.admin.execute(command.encode(), arguments or None)

    def configure(self, **settings: Any) -> None:
        self.service("configure", settings=settings)

    def expire(self, status: str) -> None:
        """Lets every lease of jobs in this state run out."""
        self.do(
            "update memoria.jobs set leased_until = clock_timestamp() - interval '1 second'"
            " where status = %s",
            status,
        )

    def hurry(self) -> None:
        """Lets every waiting job become due."""
        self.do("update memoria.jobs set run_after = clock_timestamp() where status = 'queued'")

    def dispatched(self, kind: str) -> list[Json]:
        """The jobs of a kind that a nudge is on its way for, in the order of the nudges."""
        names = ("job_id", "event_id", "media_id")
        found = self.rows(
            "select d.job_id, d.event_id, d.media_id from memoria.dispatches d"
            " join memoria.jobs j on j.id = d.job_id"
            " where d.kind = %s and j.status = 'dispatched'"
            " and d.id = (select max(id) from memoria.dispatches where job_id = j.id)"
            " order by d.id",
            kind,
        )
        return [dict(zip(names, row, strict=True)) for row in found]


def wait_until_blocked(rows: Callable[[str], list[Any]], work: Future[Any]) -> None:
    """Until the work waits for a lock, or is done. ``rows`` asks the database."""
    for _ in range(200):
        if work.done() or rows("select from pg_locks where not granted"):
            return
        time.sleep(0.05)
    raise AssertionError("neither waiting nor done")


def _is_json(value: Any) -> bool:
    """An object, or an array of objects; an array of plain values is one to SQL, too."""
    return isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(item, dict) for item in value)
    )


def result(boxes: Sequence[Box] = (), model: str = "pack") -> Json:
    """What a worker found, with a vector of its own for each box and model."""
    return {
        "model": model, "width": 4000, "height": 3000, "processing_time_seconds": 0.5,
        "faces": [
            {
                "bbox": dict(zip("xywh", box, strict=True)), "landmarks": [0.5] * 10,
                "score": 0.9, "quality_score": 0.8, "embedding": vector(f"{box}{model}"),
            }
            for box in boxes
        ],
    }  # fmt: skip


def vector(seed: str) -> str:
    """A unit vector of 512 as pgvector text, the same for the same seed."""
    chance = random.Random(seed)
    values = [chance.gauss(0, 1) for _ in range(512)]
    length = sum(value * value for value in values) ** 0.5
    return "[" + ",".join(f"{value / length:.6f}" for value in values) + "]"
