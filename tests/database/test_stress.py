"""Eight connections do anything at any time: nobody waits in a circle, nothing contradicts itself.

``STRESS_OPERATIONS=100000 pytest tests/database/test_stress.py`` is the long form.
"""

import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from tests.database.caller import Caller, Database, Json

OPERATIONS = int(os.environ.get("STRESS_OPERATIONS", "3000"))
CONNECTIONS = 8
EVENTS = [f"event{n}" for n in range(6)]
BOXES = [(0.1, 0.1, 0.2, 0.2), (0.6, 0.6, 0.2, 0.2)]
# unknown or deleted meanwhile, archived or taken, deleted between two statements
REFUSALS = {"PT404", "PT409", "23503", "22023"}

BROKEN = {
    "pending without work": (
        "select m.id from memoria.media m join memoria.events e on e.id = m.event_id"
        " where e.status = 'open' and (m.status = 'pending') <> exists ("
        "   select from memoria.jobs where media_id = m.id and kind = 'process'"
        "   and status in ('queued', 'dispatched', 'running'))"
    ),
    "vectors or work in an archived event": (
        "select e.id from memoria.events e where e.status = 'archived' and (exists ("
        "   select from memoria.faces where event_id = e.id and embedding is not null)"
        " or exists (select from memoria.jobs where event_id = e.id and kind <> 'callback'"
        "   and finished_at is null))"
    ),
    "figures that are not those of the faces": (
        "select p.id from memoria.persons p where merged_into is null and face_count <> ("
        "   select count(*) from memoria.faces where person_id = p.id)"
    ),
    "covers of somebody else": (
        "select p.id from memoria.persons p where face_count > 0 and not exists ("
        "   select from memoria.faces where id = p.representative_face_id and person_id = p.id)"
    ),
    "faces of a person that was merged away": (
        "select f.id from memoria.faces f join memoria.persons p on p.id = f.person_id"
        " where p.merged_into is not null"
    ),
    "wake-ups left over": "select kind from memoria.wakeups",
}


def some(caller: Caller, chance: random.Random, query: str) -> str | None:
    """Anything that is there at this instant."""
    with caller.connection.transaction():
        rows = caller.connection.execute(query.encode()).fetchall()
    return str(chance.choice(rows)[0]) if rows else None


def work(caller: Caller, looker: Caller, chance: random.Random, job: Json) -> None:
    claim = caller.claim(job)
    if claim["outcome"] != "claimed":
        return
    caller("heartbeat", job_id=claim["job_id"], token=claim["token"])
    if chance.random() < 0.25:
        caller.fail(claim, terminal=chance.random() < 0.3, outside=chance.random() < 0.5)
    else:
        digest = f"{chance.randrange(2):064x}"
        caller.complete(claim, BOXES[: chance.randrange(3)], digest=digest)


def group(caller: Caller, db: Database, looker: Caller, chance: random.Random) -> None:
    job = some(
        looker, chance, "select id || ' ' || event_id from memoria.jobs"
        " where kind = 'cluster' and status in ('queued', 'dispatched')",
    )  # fmt: skip
    if job is None:
        return
    job_id, event = job.split()
    claim = caller.claim({"job_id": job_id, "event_id": event}, kind="cluster")
    if claim["outcome"] != "claimed":
        return
    with looker.connection.transaction():
        faces = looker.connection.execute(
            "select id::text from memoria.faces where event_id = %s", [event]
        ).fetchall()
    ids = [face for (face,) in faces]
    groups = [
        {
            "person_id": f"00000000-0000-0000-0000-{chance.randrange(10**12):012}", "is_new": True,
            "face_ids": part, "representative_face_id": part[0],
        }
        for part in (ids[::2], ids[1::2]) if part
    ]  # fmt: skip
    result = {"processing_time_seconds": 0.1, "groups": groups, "nobody": [], "changes": []}
    caller("save_people", job_id=claim["job_id"], token=claim["token"], result=result)


def act(caller: Caller, db: Database, looker: Caller, chance: random.Random) -> None:
    event = chance.choice(EVENTS)
    media = f"{event}-m{chance.randrange(10)}"
    person = "select id from memoria.persons where merged_into is null limit 50"
    face = "select id from memoria.faces limit 50"
    deed = chance.choice(
        ["enqueue"] * 4 + ["work"] * 8 + ["group"] * 2 + ["sweep"] * 2
        + ["sweep_if_due", "recluster", "reprocess", "archive", "reopen", "delete_media",
           "requeue", "status", "doctor", "rename", "assign", "reject", "merge", "forget",
           "people", "table", "many"] + ["delete_event"] * (chance.random() < 0.2)
    )  # fmt: skip
    arguments: dict[str, Any] = {}
    match deed:
        case "enqueue":
            caller.enqueue(media, event, chance.choice(["a.jpg", "b.jpg"]))
        case "many":
            items = [
                {"media_id": f"{event}-m{n}", "bucket": "photos", "path": "many.jpg"}
                for n in range(5)
            ]
            caller("enqueue_many", event_id=event, media=items)
        case "work":
            work(caller, looker, chance, caller.enqueue(media, event))
        case "group":
            group(caller, db, looker, chance)
        case "table":
            # each in a transaction of its own: two rows in one could deadlock without our help
            row = f"t{chance.randrange(20)}"
            looker.connection.execute(
                "insert into public.photos values (%s, %s, %s) on conflict (id)"
                " do update set event = excluded.event, path = excluded.path",
                [row, event, chance.choice(["x.jpg", "y.jpg", None])],
            )
            looker.connection.execute(
                "delete from public.photos where id = %s", [f"t{chance.randrange(20)}"]
            )
        case "sweep" | "sweep_if_due" | "requeue" | "status" | "doctor":
            caller(deed)
        case "delete_media":
            caller(deed, media_id=media)
        case "rename" | "forget" | "merge" | "assign" | "reject":
            one, other = some(looker, chance, person), some(looker, chance, person)
            thing = some(looker, chance, face)
            if one and other and thing:
                calls: dict[str, tuple[str, dict[str, Any]]] = {
                    "rename": ("rename_person", {"person_id": one, "name": "Ann"}),
                    "forget": ("forget_person", {"person_id": one}),
                    "merge": ("merge_people", {"into": one, "from": [other]}),
                    "assign": ("assign_face", {"face_id": thing, "person_id": one}),
                    "reject": ("reject_face", {"face_id": thing, "person_id": one}),
                }
                name, arguments = calls[deed]
                caller(name, **arguments)
        case "people":
            caller("people", event_id=event)
        case "archive" | "reopen":
            caller(f"{deed}_event", event_id=event)
        case _:
            caller(deed, event_id=event)


def test_anything_at_any_time_deadlocks_never_and_breaks_nothing(db: Database) -> None:
    db.configure(
        quiet_period_seconds=0, cluster_wait_seconds=0, max_in_flight={"process": 10, "cluster": 3}
    )
    db.do(
        "create table public.photos (id text primary key, event text, path text);"
        " grant all on public.photos to service_role"
    )
    db.value("select memoria_follow('public.photos', 'id', 'event', 'path', 'photos')")
    callers = [db.caller("service_role") for _ in range(CONNECTIONS)]
    lookers = [Caller(db.url, "postgres") for _ in range(CONNECTIONS)]

    def live(n: int) -> Counter[str]:
        chance, refused = random.Random(n), Counter[str]()
        for _ in range(OPERATIONS // CONNECTIONS):
            try:
                act(callers[n], db, lookers[n], chance)
            except psycopg.errors.DeadlockDetected as error:
                refused[f"{error.diag.message_detail} {error.diag.context}"] += 1
            except psycopg.Error as error:
                refused[str(error.sqlstate)] += 1
        return refused

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        refused = sum(pool.map(live, range(CONNECTIONS)), Counter[str]())
    for looker in lookers:
        looker.connection.close()
    assert refused.keys() <= REFUSALS, refused
    deadlocks = "select deadlocks from pg_stat_database where datname = current_database()"
    assert db.value(deadlocks) == 0
    for _ in range(3):
        db.expire("running")
        db.expire("dispatched")
        db.service("sweep")
    assert {what: found for what, query in BROKEN.items() if (found := db.rows(query))} == {}
