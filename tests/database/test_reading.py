"""Lists in pages: complete while nothing changes, and no dearer in a large event."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import combinations
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from local.processes.postgres import Postgres
from tests.database.caller import Database, Json, result

FACES, PEOPLE, PER_PHOTO = 100_000, 2_000, 5
LARGE = """
    insert into memoria.events (id) values ('large');
    alter table memoria.media disable trigger queue_inserted_media;
    insert into memoria.media (id, event_id, bucket, path, preview_path, status, width, height)
    select 'p' || n, 'large', 'photos', n || '.jpg', n || '.s.jpg', 'completed', 4000, 3000
    from generate_series(1, {photos}) as n;
    insert into memoria.persons (id, event_id, name)
    select md5('person' || n)::uuid, 'large',
      case when n % 100 = 0 then 'Ann ' || n end from generate_series(1, {people}) as n;
    insert into memoria.faces (id, event_id, media_id, media_number, x, y, w, h, landmarks,
      score, quality, model, person_id, identity_id)
    select md5('face' || n)::uuid, 'large', media.id, media.number, 0.1, 0.1, 0.1, 0.1,
      array_fill(0.5::real, array[10]), 0.9, random(), 'pack', who.id, who.id
    from (
      select n, 'p' || (n / {per_photo} + 1) as photo,
        -- a fifth is nobody's; few people have most of the faces
        case when n % 5 > 0 then 1 + floor(power(random(), 3) * {people})::int end as person
      from generate_series(0, {faces} - 1) as n
    ) as face
    join memoria.media on media.id = face.photo
    left join lateral (select md5('person' || face.person)::uuid as id) as who
      on face.person is not null;
    select memoria.refresh_people(memoria.people_of_event('large'));
"""
SAID = """
    insert into memoria.corrections (event_id, kind, face_id, media_id, x, y, w, h, person_id)
    select 'large', case when person_id is null then 'drawn' else 'pin' end, id, media_id,
      x, y, w, h, person_id
    from memoria.faces where media_number % 5 = 0;
    insert into memoria.searches (event_id, consent)
    select 'large', '1' from generate_series(1, 5000);
"""
TABLES = ("events", "media", "persons", "faces", "corrections")
ANALYZED = (TABLES, (), *combinations(TABLES[1:4], 1), *combinations(TABLES[1:4], 2))
READS = (
    "select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int"
    " from pg_stat_xact_user_tables where schemaname = 'memoria'"
)


def make_event(database: Database, *, faces: int, people: int) -> None:
    photos = faces // PER_PHOTO
    database.do(LARGE.format(faces=faces, people=people, photos=photos, per_photo=PER_PHOTO))


@pytest.fixture(scope="module")
def large_event(postgres_server: Postgres) -> Iterator[str]:
    """100,000 faces in 20,000 photos, much said of them, and nothing that tells the planner."""
    name = "large_event"
    postgres_server.create_database(name, template="migrated")
    with closing(Database(postgres_server, name)) as database:
        for table in TABLES:  # autovacuum would analyze some of them, at times of its own
            database.do(f"alter table memoria.{table} set (autovacuum_enabled = off)")
        make_event(database, faces=FACES, people=PEOPLE)
        database.do(SAID)
    yield name
    postgres_server.drop_database(name)


@pytest.fixture(scope="module", params=ANALYZED, ids=lambda known: " and ".join(known) or "nothing")
def large(
    postgres_server: Postgres, large_event: str, request: pytest.FixtureRequest
) -> Iterator[Database]:
    """The event, where the planner knows all tables, none, or some: as autovacuum leaves it."""
    name = "large"
    postgres_server.create_database(name, template=large_event)
    with closing(Database(postgres_server, name)) as database:
        for table in request.param:
            database.do(f"analyze memoria.{table}")
        yield database
    postgres_server.drop_database(name)


@pytest.fixture
def party(db: Database) -> Database:
    make_event(db, faces=500, people=20)
    return db


def rows_read(db: Database, call: Callable[[], Json]) -> tuple[int, Json]:
    """How many rows of our tables a call reads. The call is made as the schema's owner."""
    with db.admin.transaction():
        before = int(db.value(READS) or 0)
        answer = call()
        return int(db.value(READS)) - before, answer


def call(db: Database, function: str, **arguments: Any) -> Json:
    named = ", ".join(f"p_{name} => %s" for name in arguments)
    answer: Json = db.value(f"select public.memoria_{function}({named})", *arguments.values())
    return answer


def some_people(db: Database, count: int = 2) -> list[UUID]:
    found: list[UUID] = db.rows(
        "select id from memoria.persons where event_id = 'large' order by face_count desc limit %s",
        count,
    )
    return found


def next_of(answer: Json) -> Any:
    return Jsonb(answer["next"])


LISTS: dict[str, Callable[[Database], dict[str, Any]]] = {
    "people": lambda _: {"event_id": "large"},
    "media": lambda _: {"event_id": "large"},
    "unassigned_faces": lambda _: {"event_id": "large"},
    "person_photos": lambda db: {"person_id": some_people(db, 1)[0]},
    "photos_with any": lambda db: {
        "event_id": "large", "people": some_people(db), "match": "any",
    },
    "photos_with all": lambda db: {
        "event_id": "large", "people": some_people(db), "match": "all",
    },
}  # fmt: skip
ITEMS = {"people": "people", "media": "media", "unassigned_faces": "faces"}
KEYS = {"people": "person_id", "unassigned_faces": "face_id"}


@pytest.mark.parametrize("name", LISTS)
def test_a_page_reads_rows_in_proportion_to_the_page(large: Database, name: str) -> None:
    function, arguments = name.split(maxsplit=1)[0], LISTS[name](large)
    items = ITEMS.get(function, "photos")
    after = None
    for _ in range(3):  # the first, and two further in
        asked = arguments | {"limit": 100} | ({"after": after} if after else {})
        read, page = rows_read(large, lambda asked=asked: call(large, function, **asked))
        assert len(page[items]) == 100
        # of a photo: itself, its faces, their corrections; of a person: the cover's two rows
        assert read < 100 * (PER_PHOTO + 1) * 6, read
        after = next_of(page)


def test_a_photo_reads_its_own_rows(large: Database) -> None:
    read, photo = rows_read(large, lambda: call(large, "photo", media_id="p77"))
    assert len(photo["faces"]) == PER_PHOTO
    assert read < 100


def of_few_faces(db: Database, number: int = 0) -> UUID:
    """Somebody who is in few photos."""
    found: UUID = db.value(
        "select id from memoria.persons where face_count between 3 and 20"
        " order by face_count, id limit 1 offset %s",
        number,
    )
    return found


def a_face(db: Database, person: UUID) -> UUID:
    found: UUID = db.value(
        "select id from memoria.faces where person_id = %s order by id limit 1", person
    )
    return found


def a_photo(db: Database) -> str:
    """A photo of people who are in few, in an event that counts its photos another time."""
    db.do(
        "update memoria.media set status = 'pending' where id = 'p1';"
        "update memoria.events set counted_at = 'infinity', counts = '{\"total\": 20000}'"
    )
    found: str = db.value(
        "select media_id from memoria.faces left join memoria.persons on persons.id = person_id"
        " group by media_id having max(face_count) < 20 limit 1"
    )
    return found


def a_split(db: Database) -> dict[str, Any]:
    person = of_few_faces(db)
    return {"person_id": person, "face_ids": [a_face(db, person)]}


def a_result(db: Database) -> dict[str, Any]:
    """Of another picture in the place of one."""
    photo = a_photo(db)
    db.do("update memoria.media set digest = repeat('a', 64) where id = %s", photo)
    db.do("select memoria.queue_media('large', array[%s])", photo)
    job = db.value("select id::text from memoria.jobs where media_id = %s", photo)
    claim = call(db, "claim", kind="process", job_id=job, event_id="large", media_id=photo)
    found = result([(0.1, 0.1, 0.1, 0.1), (0.5, 0.5, 0.1, 0.1)]) | {"digest": "b" * 64}
    return {
        "job_id": claim["job_id"],
        "token": claim["token"],
        "result": Jsonb(found),
    }


def a_search(db: Database) -> dict[str, Any]:
    found = db.value(
        "insert into memoria.searches (event_id, consent, outcome, people)"
        " values ('large', '1', 'found', array[%s]) returning id",
        of_few_faces(db),
    )
    return {"search_id": found, "event_id": "large"}


TAPS: dict[str, Callable[[Database], dict[str, Any]]] = {
    "rename_person": lambda db: {"person_id": of_few_faces(db), "name": "Zoë"},
    "set_cover": lambda db: {
        "person_id": of_few_faces(db), "face_id": a_face(db, of_few_faces(db)),
    },
    "assign_face": lambda db: {
        "face_id": a_face(db, of_few_faces(db)), "person_id": of_few_faces(db, 1),
    },
    "split_person": a_split,
    "undo": lambda db: {"change_id": call(db, "split_person", **a_split(db))["change_id"]},
    "merge_people": lambda db: {"into": of_few_faces(db), "from": [of_few_faces(db, 1)]},
    "delete_media": lambda db: {"media_id": a_photo(db)},
    "complete_media": a_result,
    "search_again": a_search,
}  # fmt: skip


@pytest.mark.parametrize("function", TAPS)
def test_a_tap_a_result_and_a_search_read_their_own_rows(large: Database, function: str) -> None:
    """Before, most read everybody in the event, and all that had been said there."""
    with large.admin.transaction(force_rollback=True):
        arguments = TAPS[function](large)
        read, _ = rows_read(large, lambda: call(large, function, **arguments))
        assert read < 1000


@pytest.mark.parametrize("name", LISTS)
def test_the_pages_together_are_complete_and_name_nothing_twice(party: Database, name: str) -> None:
    function, arguments = name.split(maxsplit=1)[0], LISTS[name](party)
    items, key = ITEMS.get(function, "photos"), KEYS.get(function, "media_id")
    (whole,) = list(pages(party, function, arguments | {"limit": 500}))
    parts = list(pages(party, function, arguments | {"limit": 7}))
    assert len(parts) > 1 or len(whole[items]) <= 7
    assert [item for page in parts for item in page[items]] == whole[items]
    assert len({item[key] for item in whole[items]}) == len(whole[items])
    assert {page["version"] for page in parts} == {whole["version"]}


def pages(db: Database, function: str, arguments: dict[str, Any]) -> Iterator[Json]:
    after: Any = Jsonb(None)
    while True:
        page = call(db, function, **arguments, after=after)
        yield page
        if page["next"] is None:
            return
        after = next_of(page)


def test_what_the_lists_hold_is_what_is_there(party: Database) -> None:
    people = call(party, "people", event_id="large", limit=500)["people"]
    counts = party.rows(
        "select person_id::text, count(*)::int from memoria.faces where person_id is not null"
        " group by 1"
    )
    listed = {p["person_id"]: p["face_count"] for p in people if p["face_count"]}
    assert listed == dict(counts)
    assert [p["face_count"] for p in people] == sorted(
        (p["face_count"] for p in people), reverse=True
    )
    nobody = "select count(*) from memoria.faces where person_id is null"
    faces = call(party, "unassigned_faces", event_id="large", limit=500)["faces"]
    assert len(faces) == party.value(nobody)
    for match, having in (("all", "= 2"), ("any", ">= 1")):
        pair = some_people(party)
        found = call(party, "photos_with", event_id="large", people=pair, match=match, limit=500)[
            "photos"
        ]
        expected = party.rows(
            "select media_id from memoria.faces where person_id = any(%s) group by media_id,"
            f" media_number having count(distinct person_id) {having} order by media_number",
            pair,
        )
        assert [photo["media_id"] for photo in found] == expected
        shown = {face["person_id"] for photo in found for face in photo["faces"]}
        assert shown == {str(person) for person in pair}


def test_a_cover_is_enough_to_draw_a_person(party: Database) -> None:
    person = call(party, "people", event_id="large")["people"][0]
    cover = person["cover"]
    assert cover.keys() == {
        "face_id", "media_id", "bucket", "path", "preview_path", "bbox", "width", "height",
    }  # fmt: skip
    assert cover["face_id"] == person["representative_face_id"]
    assert cover["preview_path"] == cover["path"].replace(".jpg", ".s.jpg")


def test_hidden_people_are_listed_for_who_asks(party: Database) -> None:
    first = call(party, "people", event_id="large")["people"][0]["person_id"]
    call(party, "hide_person", person_id=first, hidden=True)
    shown = call(party, "people", event_id="large")["people"]
    assert first not in {p["person_id"] for p in shown}
    everybody = call(party, "people", event_id="large", with_hidden=True)["people"]
    assert everybody[0]["person_id"] == first
    assert len(everybody) == len(shown) + 1
    status = call(party, "event_status", event_id="large")
    assert (status["people"], status["hidden_people"]) == (len(shown), 1)


@pytest.mark.parametrize("asked", ["zoe", "ZOË", "  zoé  ", "muller", "Zoe Mül"])
def test_people_are_found_by_name_without_case_and_accents(party: Database, asked: str) -> None:
    person = str(some_people(party, 1)[0])
    call(party, "rename_person", person_id=person, name="Zoë Müller")
    found = call(party, "people", event_id="large", name=asked)["people"]
    assert [p["person_id"] for p in found] == [person]
    # what "like" would take for any letter, any letters, or an escape
    for wild in ("_oë", "100%", "%", "\\", "Zo\\", "Z\\oë"):
        assert call(party, "people", event_id="large", name=wild)["people"] == [], wild


def test_equal_names_are_said(party: Database) -> None:
    one, other = some_people(party)
    call(party, "rename_person", person_id=one, name="Zoë")
    answer = call(party, "rename_person", person_id=other, name=" zoe ")
    assert answer["same_name"] == [str(one)]


def test_the_version_changes_with_what_is_shown(party: Database) -> None:
    one, other = some_people(party)
    face = party.value("select id from memoria.faces where person_id = %s limit 1", one)

    def version() -> int:
        return int(call(party, "people", event_id="large")["version"])

    seen = [version()]
    for change in (
        lambda: call(party, "rename_person", person_id=one, name="Ann"),
        lambda: call(party, "reject_face", face_id=face, person_id=one),
        lambda: call(party, "assign_face", face_id=face, person_id=other),
        lambda: call(party, "merge_people", into=one, **{"from": [other]}),
        lambda: call(party, "forget_person", person_id=one),
    ):
        change()
        seen.append(version())
    assert seen == sorted(set(seen))


def test_the_id_of_a_merged_person_stays_good(party: Database) -> None:
    one, other = some_people(party)
    call(party, "merge_people", into=one, **{"from": [other]})
    found = call(party, "person_photos", person_id=other)
    assert (found["person_id"], found["is_now"]) == (str(one), str(one))


@pytest.mark.parametrize("people", [[], [UUID(int=n) for n in range(51)]])
def test_photos_are_asked_for_one_to_fifty_people(party: Database, people: list[UUID]) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="1 to 50 people"):
        call(party, "photos_with", event_id="large", people=people)


def test_figures_and_covers_are_fresh_after_a_photo_is_looked_at_again(db: Database) -> None:
    box = (0.1, 0.1, 0.2, 0.2)
    (first,) = db.service.process("m1", [box])["face_ids"]
    (second,) = db.service.process("m2", [box])["face_ids"]
    person = db.service("assign_face", face_id=first)["person_id"]
    db.service("assign_face", face_id=second, person_id=person)
    db.do("update memoria.persons set representative_face_id = %s", first)
    db.service("reprocess", event_id="party")
    for job in db.dispatched("process"):
        db.service.complete(db.service.claim(job), [] if job["media_id"] == "m1" else [box])
    (listed,) = db.service("people", event_id="party")["people"]
    assert (listed["face_count"], listed["cover"]["face_id"]) == (1, second)


LOG = """
    insert into memoria.changes (event_id, kind, person_id, before, after, held, withdrew)
    select 'large', 'renamed', md5('person' || 1 + n % 50)::uuid, '{}', '{}', '{}', '{}'
    from generate_series(1, 20000) as n;
    insert into memoria.change_people (change_id, person_id)
    select id, person_id from memoria.changes where event_id = 'large';
    insert into memoria.suggestions
      (id, event_id, kind, one_id, other_id, people, likelihood, weight)
    select md5('question' || n)::uuid, 'large', 'same_person', least(one, other),
      greatest(one, other), array[one, other], 0.5, n
    from generate_series(1, 500) as n,
      lateral (
        select md5('person' || n)::uuid as one, md5('person' || n + 500)::uuid as other
      ) as two;
    update memoria.events set open_suggestions = '{"same_person": 500}' where id = 'large';
"""


def test_pages_of_history_and_questions_read_rows_in_proportion(large: Database) -> None:
    with large.admin.transaction(force_rollback=True):
        large.do(LOG)
        before = int(large.value(READS) or 0)
        for asked, items, per_item in (
            ({"function": "history"}, "changes", 10),
            ({"function": "history", "person_id": some_change(large)}, "changes", 10),
            ({"function": "suggestions"}, "suggestions", 40),
        ):
            page = call(large, **asked, event_id="large", limit=20)
            read = int(large.value(READS)) - before
            before += read
            assert len(page[items]) == 20
            assert read < 20 * per_item, (asked, read)
        assert call(large, "suggestions", event_id="large")["total"] == 500


def test_links_come_in_pages_that_read_rows_in_proportion(large: Database) -> None:
    with large.admin.transaction(force_rollback=True):
        large.do(
            "insert into memoria.search_links (event_id, token_hash, user_id, created_at,"
            "   expires_at, max_searches, per_guest, people_per_guest)"
            # some at the same instant, and half of them one guest's own
            " select 'large', int4send(n), case when n %% 2 = 0 then gen_random_uuid() end,"
            "   now() + n / 10 * interval '1 second', now() + interval '1 day', 1, 1, 1"
            " from generate_series(1, %s) as n",
            1000,
        )
        shared = large.rows(
            "select id::text from memoria.search_links where user_id is null"
            " order by created_at desc, id desc"
        )
        before = int(large.value(READS) or 0)
        first = call(large, "search_links", event_id="large", limit=20)
        assert int(large.value(READS)) - before < 20 * 3
        listed = [
            link["link_id"]
            for page in pages(large, "search_links", {"event_id": "large", "limit": 70})
            for link in page["links"]
        ]
        assert [link["link_id"] for link in first["links"]] == listed[:20]
        assert listed == shared


def some_change(db: Database) -> UUID:
    found: UUID = db.value("select person_id from memoria.changes limit 1")
    return found
