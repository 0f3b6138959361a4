"""What a search costs: the scan of a large event, a whole request; and what its answers give away.

Run it on a quiet machine: `python -m benchmarks.search_service [scan] [request] [tokens]`; with all
three it writes a table of docs/search.md.
"""

import argparse
import hashlib
import random
import statistics
import struct
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from benchmarks import photos, twins
from benchmarks.cluster_page import set_table
from benchmarks.measures import Row, alternated, seconds
from benchmarks.selfie_search import PAGE
from benchmarks.server import as_in_the_image
from benchmarks.speed import floor_of
from local.processes.postgres import Postgres
from local.processes.stack import Stack, StackOptions
from local.supabase.migrations import apply_migrations
from memoria.arrays import F32, F64
from memoria.clustering.thresholds import thresholds_for
from memoria.faces import open_engine
from memoria.search.likeness import Rule, background
from memoria.search.rules import measured_rule
from memoria.store.jobs import vector_text

MODEL = "scrfd2.5g_mobilefacenet"
PEOPLE, FACES_EACH, LOOSE = 1000, 80, 20_000
LIKE_ONESELF = 0.75  # the similarity of a photo to its person
SELFIES, ROUNDS, TRIES = 60, 15, 400
SIDE = 512
Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Made-up people: unit vectors of their faces, and of faces of nobody."""

    centres: F32  # (people, 512)
    faces: F32  # (people * each, 512), person by person
    loose: F32  # (loose, 512)

    @classmethod
    def made(cls, people: int, each: int, loose: int) -> "Crowd":
        """Directions at random; faces scatter about their person's."""
        rng = np.random.default_rng(0)
        centres = _unit(rng.standard_normal((people, SIDE), dtype=np.float32))
        return cls(
            centres,
            near(np.repeat(centres, each, axis=0), rng),
            _unit(rng.standard_normal((loose, SIDE), dtype=np.float32)),
        )


def _unit(rows: F32) -> F32:
    unit: F32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def near(rows: F32, rng: np.random.Generator) -> F32:
    """A photo of each: (n, 512) unit -> (n, 512) unit."""
    noise = _unit(rng.standard_normal(rows.shape, dtype=np.float32))
    return _unit(LIKE_ONESELF * rows + np.sqrt(1 - LIKE_ONESELF**2) * noise)


def seeded(connection: Connection, crowd: Crowd, model: str) -> str:
    """An event of these faces, grouped -> its id."""
    event = f"crowd {uuid.uuid4()}"
    each = len(crowd.faces) // len(crowd.centres)
    with connection.cursor() as cursor:
        cursor.execute("create temp table raw (n integer, vector extensions.vector(512))")
        with cursor.copy("copy raw from stdin (format binary)") as copy:
            copy.write(_binary(np.concatenate([crowd.faces, crowd.loose])))
        cursor.execute("select public.memoria_create_event(%s)", (event,))
        cursor.execute("update memoria.events set clustered_at = now(), ungrouped_since = null")
        cursor.execute(
            "create temp table who as select n, gen_random_uuid() as id"
            " from generate_series(0, %s - 1) as n",
            (len(crowd.centres),),
        )
        cursor.execute(
            "insert into memoria.persons (id, event_id, face_count, cluster_label, model)"
            " select id, %s, %s, n, %s from who",
            (event, each, model),
        )
        cursor.execute(
            "insert into memoria.media (id, event_id, bucket, path, status)"
            " select %s || n, %s, 'photos', n || '.jpg', 'completed'"
            " from generate_series(0, (select max(n) from raw) / 10) as n",
            (f"{event} ", event),
        )
        cursor.execute(
            "insert into memoria.faces (id, event_id, media_id, media_number, x, y, w, h,"
            " landmarks, score, quality, model, embedding, identity_id, person_id)"
            " select gen_random_uuid(), %(event)s, media.id, media.number, 0.1, 0.1, 0.2, 0.2,"
            " array_fill(0.5::real, array[10]), 0.9, 0.9, %(model)s, vector, who.id, who.id"
            " from raw join memoria.media on media.id = %(prefix)s || raw.n %% %(photos)s"
            " left join who on who.n = raw.n / %(each)s",
            {
                "event": event, "prefix": f"{event} ", "each": each, "model": model,
                "photos": (len(crowd.faces) + len(crowd.loose)) // 10,
            },
        )  # fmt: skip
        cursor.execute("select memoria.refresh_centroids(array(select id from who))")
        cursor.execute("drop table raw, who")
    connection.commit()
    connection.autocommit = True
    connection.execute("vacuum analyze memoria.faces")
    return event


def _binary(rows: F32) -> bytes:
    """PostgreSQL's binary COPY of (number, vector)."""
    fields = np.zeros(
        len(rows),
        [("fields", ">i2"), ("four", ">i4"), ("n", ">i4"), ("size", ">i4"),
         ("dimensions", ">i2"), ("unused", ">i2"), ("vector", ">f4", SIDE)],
    )  # fmt: skip
    fields["fields"], fields["four"], fields["n"] = 2, 4, np.arange(len(rows))
    fields["size"], fields["dimensions"], fields["vector"] = 4 + 4 * SIDE, SIDE, rows
    head = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
    return head + fields.tobytes() + struct.pack(">h", -1)


def found_by(connection: Connection, event: str, rule: Rule, selfie: F32) -> tuple[int, int]:
    """A whole search of the app's backend -> how many people and how many loose faces it shows."""
    begun = _one(
        connection,
        "select public.memoria_begin_search(p_event_id => %s, p_consent => '1')",
        event,
    )
    asked = rule.as_json() | {"weight": 0.9, "mean_length": 1.0}
    matches = _one(
        connection,
        "select public.memoria_search(%s, %s, %s, %s)",
        begun["search_id"], vector_text(selfie), MODEL, Jsonb(asked),
    )["matches"]  # fmt: skip
    sure = [match for match in matches if match["band"] == "sure"]
    return sum(m["is_person"] for m in sure), sum(not m["is_person"] for m in sure)


def _one(connection: Connection, statement: str, *values: Any) -> Any:
    row = connection.execute(statement, values).fetchone()
    assert row is not None
    return row[0]


def expected(crowd: Crowd, rule: Rule, selfie: F32) -> tuple[int, int]:
    """The same by numpy."""
    people = len(crowd.centres)
    means = crowd.faces.reshape(people, -1, SIDE).mean(axis=1, dtype=np.float64)
    lengths = np.linalg.norm(means, axis=1)
    zero, sure = background(means), rule.sure(people + len(crowd.loose))

    def shown(similarity: F64, faces: F64, length: F64) -> int:
        return int(np.sum(rule.score(similarity, (0.9, 1.0), faces, length, zero) >= sure))

    similarity = selfie.astype(np.float64)
    count = np.full(people, len(crowd.faces) / people)
    ones = np.ones(len(crowd.loose))
    return (
        shown(means @ similarity / lengths, count, lengths),
        shown(crowd.loose @ similarity, ones, ones),
    )


def scan() -> list[Row]:
    """A search among 100,000 faces against one exact scan of those that belong to nobody."""
    crowd = Crowd.made(PEOPLE, FACES_EACH, LOOSE)
    rule = measured_rule(MODEL, thresholds_for(MODEL))
    rng = np.random.default_rng(1)
    with Postgres() as server:
        apply_migrations(url := server.create_database("scan"))
        with psycopg.connect(url) as connection:
            event = seeded(connection, crowd, MODEL)
            connection.execute("select memoria_configure('{\"searches_per_minute\": 100000}')")
            third = SELFIES // 3
            selfies = np.concatenate([
                near(crowd.centres[:third], rng), near(crowd.loose[:third], rng),
                _unit(rng.standard_normal((third, SIDE), dtype=np.float32)),
            ])  # fmt: skip
            wanted = [expected(crowd, rule, selfie) for selfie in selfies]
            got = [found_by(connection, event, rule, selfie) for selfie in selfies]
            text = vector_text(selfies[0])

            def exact() -> None:
                connection.execute(
                    "select max(-(embedding operator(extensions.<#>) %s::extensions.vector))"
                    " from memoria.faces where event_id = %s and person_id is null",
                    (text, event),
                )

            asked, least = alternated(
                [lambda: found_by(connection, event, rule, selfies[0]), exact], ROUNDS
            )
    right = sum(one == other for one, other in zip(got, wanted, strict=True)) / len(wanted)
    return [
        Row("searches of 100,000 faces that show what numpy shows", right, "", limit=1.0,
            at_most=False, detail=f"{sum(map(sum, wanted))} matches of {SELFIES} selfies"),
        Row("a search / one exact scan of the 20,000 loose faces", asked / least, limit=1.3,
            detail=f"{asked * 1000:.0f} ms against {least * 1000:.0f} ms"),
    ]  # fmt: skip


def asker(stack: Stack, token: str, data: bytes) -> Callable[[], httpx.Response]:
    """A guest's search, each time by another guest, over a connection that a page keeps."""
    guests = httpx.Client(timeout=60, trust_env=False)  # each new one reads the CA certificates

    def ask() -> httpx.Response:
        return guests.post(
            f"{stack.process_url}/search",
            data={"consent": "1", "guest": str(uuid.uuid4()), "point": "0.5,0.5"},
            files={"image": data},
            headers={"Authorization": f"Search {token}"},
        )

    return ask


def link(stack: Stack, event: str) -> str:
    """A token that never runs out."""
    options = {"p_event_id": event, "p_options": {"max_searches": 1_000_000}}
    made: Any = stack.client().rpc("memoria_create_search_link", options).execute().data
    return str(made["token"])


def searching(pack: Path) -> Stack:
    """A service of searches alone."""
    return Stack(
        StackOptions(
            environ={"MODEL_DIR": str(pack), "SEARCH": "only"},
            settings={"searches_per_minute": 100_000},
            without=frozenset({"pg_net", "cron", "cluster"}),
        )
    )


def request(pack: Path) -> list[Row]:
    """A guest's request with a photo of 12 megapixels, against decode + session.run."""
    data = photos.jpeg(photos.photo(photos.MEGAPIXELS_12, 3))
    floor = floor_of(open_engine(pack), data)
    with searching(pack) as stack, psycopg.connect(stack.database_url) as connection:
        event = seeded(connection, Crowd.made(250, 8, 500), pack.name)
        ask = asker(stack, link(stack, event), data)
        if (answer := ask()).status_code != 200:
            raise RuntimeError(answer.text)
        asked, least = alternated([ask, floor], ROUNDS)
    return [
        Row("a whole request, warm, 12 megapixels / decode + models", asked / least, limit=1.2,
            detail=f"{asked * 1000:.0f} ms against {least * 1000:.0f} ms")
    ]  # fmt: skip


def tokens(pack: Path) -> list[Row]:
    """Can a clock tell a token that has expired or was revoked from one that never was?"""
    with searching(pack) as stack, psycopg.connect(stack.database_url) as connection:
        event = seeded(connection, Crowd.made(10, 3, 3), pack.name)
        dead = {"an expired": link(stack, event), "a revoked": link(stack, event)}
        for column, token in zip(("expires_at", "revoked_at"), dead.values(), strict=True):
            connection.execute(
                f"update memoria.search_links set {column} = now() where token_hash = %s",
                (hashlib.sha256(token.encode()).digest(),),
            )
        asks = {kind: asker(stack, token, b"x") for kind, token in dead.items()}
        asks["an unknown"] = asker(stack, "x" * len(token), b"x")
        if {ask().status_code for ask in asks.values()} != {404}:
            raise RuntimeError("a dead token was not answered with 404")
        times: dict[str, list[float]] = {kind: [] for kind in asks}
        order = random.Random(0)  # a fixed turn may meet what the server does every nth time
        for _ in range(TRIES):
            for kind in order.sample(list(asks), len(asks)):
                times[kind].append(seconds(asks[kind]))
    unknown = times.pop("an unknown")
    return [_told_apart(kind, column, unknown) for kind, column in times.items()]


def _told_apart(kind: str, dead: list[float], unknown: list[float]) -> Row:
    """How often the one took longer than the other asked beside it."""
    longer = sum(one > other for one, other in zip(dead, unknown, strict=True)) / TRIES
    chance = 98 / TRIES**0.5
    medians = [statistics.median(column) * 1000 for column in (dead, unknown)]
    return Row(
        f"{kind} token takes longer than an unknown one, in so many of 100 pairs",
        100 * longer, "%", detail=f"chance alone: {50 - chance:.0f} to {50 + chance:.0f} (95 %);"
        f" {medians[0]:.2f} and {medians[1]:.2f} ms",
    )  # fmt: skip


def main() -> None:
    """Print the rows and write them into docs/search.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    sections = {"scan": lambda _: scan(), "request": request, "tokens": tokens}
    parser.add_argument("section", nargs="*", help=", ".join(sections))
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    args = parser.parse_args()
    lines = ["| what | measured | promised | |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        twins.make(pack := Path(folder) / "buffalo_l")
        pack = as_in_the_image(pack)
        for name in args.section or sections:
            for row in sections[name](pack):
                promised = "" if row.limit is None else f"{'≤' if row.at_most else '≥'} {row.limit}"
                measured = f"{row.value:.2f} {row.unit}".strip()
                lines.append(f"| {row.what} | {measured} | {promised} | {row.detail} |")
                print(lines[-1], flush=True)
    if not args.section and not args.dry_run:
        set_table("cost of a search", "\n".join(lines), PAGE)


if __name__ == "__main__":
    main()
