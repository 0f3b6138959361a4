"""Where the time of a run goes, and what neighbour lists kept between runs would save.

    python -m benchmarks.run_stages [FACES …]
    python -m benchmarks.run_stages --given 300000  # whatever the groups are: all but the grouping

A run as *cluster* does it, on a real PostgreSQL behind the PostgREST stand-in: claim, load, group,
match, ask, save. Then a guest adds three photos, and it runs again. Who runs is a process of its
own, so that its peak of memory is the run's. The people are random, twenty faces each. Writes
the table of docs/clustering.md.
"""

import argparse
import time
from multiprocessing import get_context

import httpx
import numpy as np
import psycopg
from supabase import Client, ClientOptions

from benchmarks.cluster_page import set_rows
from benchmarks.load_faces import EVENT, FACES_PER_PERSON, FACES_PER_PHOTO, fill, peak_mib
from local.processes.stack import Stack, StackOptions
from memoria.arrays import F32, Index
from memoria.clustering import group_faces
from memoria.clustering.hdbscan import neighbour_lists
from memoria.clustering.neighbours import NeighbourLists
from memoria.clustering.rows import canonical_order
from memoria.people.resolve import resolve_people
from memoria.people.suggestions import suggestions
from memoria.people.types import EventFaces, uuid_keys
from memoria.store.client import rpc
from memoria.store.jobs import Claim, JobStore, Stored
from memoria.store.people import load_event, save_people

SIZES = [1_000, 5_000, 20_000, 100_000]
NEW_PHOTOS = 3
TIMEOUT = 60  # seconds that a call may take: STORE_TIMEOUT_SECONDS as it is without being set
STEPS = ("load", "group", "match", "ask", "save")
Seconds = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("faces", type=int, nargs="*", default=SIZES)
    parser.add_argument("--given", action="store_true", help="all but the grouping, at any size")
    options = parser.parse_args()
    for faces in options.faces:
        rows = table_rows(measured(faces, given=options.given))
        print(*rows, sep="\n", flush=True)
        set_rows("run stages", faces, rows)


def measured(faces: int, *, given: bool = False) -> list[Seconds]:
    """The first run, and the one after three photos more."""
    options = StackOptions(without=frozenset({"process", "cluster", "cron"}))
    with Stack(options) as stack:
        fill(stack.database_url, faces - NEW_PHOTOS * FACES_PER_PHOTO)
        run = stack.supabase_url, stack.keys.secret, given
        found = [in_a_process(*run)]
        with psycopg.connect(stack.database_url) as connection:
            add_photos(connection)
        found.append(in_a_process(*run))
    return found


def in_a_process(url: str, key: str, given: bool) -> Seconds:
    """A fresh process, so that its peak is the run's own."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(one_run, (url, key, given))


def add_photos(connection: psycopg.Connection) -> None:
    """Three photos more, with the people of the first ones as they look in others of theirs."""
    connection.execute(
        "insert into memoria.media (id, event_id, bucket, path, status)"
        " select 'new ' || n, %s, 'photos', 'new ' || n, 'completed' from generate_series(1, %s) n",
        [EVENT, NEW_PHOTOS],
    )
    connection.execute(
        "insert into memoria.faces"
        " (id, event_id, media_id, media_number, x, y, w, h, score, quality, model, embedding)"
        " select gen_random_uuid(), event_id, media.id, number, x, y, w, h, score, quality, looks,"
        " extensions.l2_normalize(embedding + array_fill(0.01, array[512])::extensions.vector)"
        " from (select *, row_number() over () %% %s as place from ("
        "   select x, y, w, h, score, quality, model as looks, embedding from memoria.faces"
        "   where event_id = %s order by id limit %s) as known) as chosen"
        " join memoria.media on id = 'new ' || place + 1",
        [NEW_PHOTOS, EVENT, NEW_PHOTOS * FACES_PER_PHOTO],
    )


def one_run(url: str, key: str, given: bool) -> Seconds:
    """Seconds of each step, as *cluster* takes them, and the most memory in MiB."""
    client = Client(url, key, ClientOptions(httpx_client=httpx.Client(timeout=TIMEOUT)))
    store = JobStore(client)
    job = rpc(client, "memoria_recluster", {"p_event_id": EVENT})["job_id"]
    claim = store.claim("cluster", job, EVENT)
    assert isinstance(claim, Claim), claim
    group_faces(np.eye(4, 512, dtype=np.float32).repeat(3, axis=0))  # what is imported on first use
    idle, clock = peak_mib(), Clock()
    with store.kept(claim):
        faces, known = load_event(client, EVENT)
        clock.lap("load")
        labels = people_given(faces) if given else grouped(faces)
        clock.lap("group")
        people = resolve_people(labels, faces, known, event_id=EVENT)
        clock.lap("match")
        asked = suggestions(people, known)
        clock.lap("ask")
        saved = save_people(client, claim, people, asked, 0)
        clock.lap("save")
    assert isinstance(saved, Stored), saved
    found = clock.seconds | {"peak_mib": peak_mib(), "idle_mib": idle}
    if given:
        return found
    rows = faces.vectors[canonical_order(faces.vectors)]
    clock.start()
    lists = neighbour_lists(rows, 2)
    clock.lap("lists")
    entered(rows, lists, NEW_PHOTOS * FACES_PER_PHOTO)
    clock.lap("update")
    return found | {name: clock.seconds[name] for name in ("lists", "update")}


def grouped(faces: EventFaces) -> Index:
    return group_faces(faces.vectors, photo_ids=faces.photos, quality=faces.quality)


def people_given(faces: EventFaces) -> Index:
    """Five photos are a person, to begin with; then whose the faces are already. -1: nobody's."""
    if not faces.identities.any():
        photos = np.unique(faces.photos, return_inverse=True)[1]
        return (photos * FACES_PER_PHOTO // FACES_PER_PERSON).astype(np.intp)
    _, known = np.unique(uuid_keys(faces.identities), return_inverse=True)
    return np.where(faces.identities.any(axis=1), known, -1).astype(np.intp)


class Clock:
    """Seconds from lap to lap."""

    def __init__(self) -> None:
        self.seconds: Seconds = {}
        self.start()

    def start(self) -> None:
        self.since = time.perf_counter()

    def lap(self, name: str) -> None:
        self.seconds[name] = time.perf_counter() - self.since
        self.start()


def entered(rows: F32, lists: NeighbourLists, fresh: int) -> int:
    """What lists that were kept would cost instead: the products of the new faces with all.

    How many lists they enter. The rows' own lists stand for those kept, any rows for the new.
    """
    distances = 1 - rows[:fresh] @ rows.T
    return int(np.count_nonzero(distances < lists.distances[:, -1]))


def table_rows(runs: list[Seconds]) -> list[str]:
    """Markdown of one size."""
    rows = []
    for name, run in zip(("first", "3 photos more"), runs, strict=True):
        whole = sum(run[step] for step in STEPS)
        cells = [name, *(f"{run[step]:.2f} s" for step in STEPS), f"{whole:.2f} s"]
        if "lists" in run:
            saved = (run["lists"] - run["update"]) / whole
            cells += [f"{run['lists']:.2f} s", f"{saved:.0%}"]
        else:
            cells[1 + STEPS.index("group")] = "given"
            cells += ["", ""]
        rows.append(" | ".join([*cells, f"{run['peak_mib']:,.0f} MiB"]))
    return rows


if __name__ == "__main__":
    main()
