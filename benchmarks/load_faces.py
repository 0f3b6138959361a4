"""Reading the faces of an event through supabase-py, beside the time of grouping them.

    python -m benchmarks.load_faces [FACES]

A real PostgreSQL behind the PostgREST stand-in; who reads is a process of its own, like the service
*cluster*. The people are random.
"""

import argparse
import resource
import sys
import time
from multiprocessing import get_context
from uuid import UUID

import httpx
import numpy as np
import psycopg
from numpy.typing import NDArray
from supabase import Client, ClientOptions

from local.processes.stack import Stack, StackOptions
from memoria.clustering import group_faces
from memoria.people.resolve import resolve_people
from memoria.people.types import KnownPeople
from memoria.store.people import load_faces, load_people

EVENT = "benchmark"
FACES_PER_PERSON = 20
FACES_PER_PHOTO = 4
BLOCK = 1000
TIMES = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("faces", type=int, nargs="?", default=20_000)
    count = parser.parse_args().faces
    options = StackOptions(without=frozenset({"process", "cluster", "cron"}))
    with Stack(options) as stack:
        fill(stack.database_url, count)
        # a fresh process, so that its peak is the reading's own
        with get_context("spawn").Pool(1) as pool:
            print(pool.apply(measure, (stack.supabase_url, stack.keys.secret)))


def measure(url: str, key: str) -> str:
    """Read and group the event; what that took, as a text."""
    client = Client(url, key, ClientOptions(httpx_client=httpx.Client(timeout=60)))
    load_people(client, EVENT)  # the connection, and what is imported on first use
    idle = peak_mib()
    seconds = []
    for turn in range(TIMES):
        started = time.perf_counter()
        faces = load_faces(client, EVENT)
        seconds.append(time.perf_counter() - started)
        if turn == 0:
            memory = peak_mib() - idle
    reading = min(seconds)
    started = time.perf_counter()
    labels = group_faces(faces.vectors, photo_ids=faces.photos, quality=faces.quality)
    grouping = time.perf_counter() - started
    started = time.perf_counter()
    people = resolve_people(labels, faces, KnownPeople(), event_id=EVENT)
    resolving = time.perf_counter() - started
    size = faces.vectors.nbytes / 2**20
    return (
        f"{len(faces)} faces, {size:.0f} MiB of vectors, {len(people.groups)} people\n"
        f"reading   {reading:6.2f} s, best of {TIMES}; {reading / grouping:.2f} of grouping\n"
        f"memory    {memory:6.0f} MiB, {memory / size:.2f} times the vectors\n"
        f"grouping  {grouping:6.2f} s\n"
        f"people    {resolving:6.2f} s"
    )


def fill(database_url: str, count: int) -> None:
    """An event of ``count`` faces, copied in."""
    rng = np.random.default_rng(0)
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("set statement_timeout = 0")  # two minutes hold 150,000 faces, or fewer
        cursor.execute("insert into memoria.events (id) values (%s)", [EVENT])
        photos = count // FACES_PER_PHOTO + 1
        cursor.execute(
            "insert into memoria.media (id, event_id, bucket, path, status)"
            " select 'photo ' || n, %s, 'photos', n, 'completed' from generate_series(0, %s) as n",
            [EVENT, photos],
        )
        place = "id, event_id, media_id, media_number, x, y, w, h"
        columns = f"{place}, landmarks, score, quality, model, embedding"
        with cursor.copy(f"copy memoria.faces ({columns}) from stdin") as copy:
            landmarks = "{" + ",".join(["0.5"] * 10) + "}"
            for start in range(0, count, BLOCK):
                for offset, vector in enumerate(people_like(rng, min(BLOCK, count - start))):
                    row = start + offset
                    text = "[" + ",".join(f"{value:.7g}" for value in vector) + "]"
                    number = row // FACES_PER_PHOTO
                    photo = f"photo {number}"
                    face = UUID(bytes=rng.bytes(16))
                    box = (0.1, 0.1, 0.2, 0.2)
                    found = (landmarks, 0.9, rng.random(), "m", text)
                    copy.write_row((face, EVENT, photo, number + 1, *box, *found))


def people_like(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """(count, 512) unit rows, every ``FACES_PER_PERSON`` of them about 0.8 alike."""
    centres = np.repeat(unit(rng.standard_normal((count // FACES_PER_PERSON + 1, 512))), 20, axis=0)
    return unit(centres[:count] + 0.5 * unit(rng.standard_normal((count, 512))))


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("f4")
    return scaled


def peak_mib() -> float:
    """The most that this process ever held."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**20


if __name__ == "__main__":
    main()
