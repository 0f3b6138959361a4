"""Owner, stranger, anon, service role: who may do what with an event."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.database.caller import Caller, Database, Json

OWNER, STRANGER = UUID(int=1), UUID(int=2)


@dataclass
class Party:
    """The owner's event with one photo and one person, and everyone who wants something of it."""

    owner: Caller
    stranger: Caller
    anon: Caller
    service: Caller
    face: str
    person: str


@pytest.fixture
def party(db: Database) -> Party:
    owner = db.caller("authenticated", OWNER)
    job = owner.enqueue("m1")
    (face,) = db.service.complete(db.service.claim(job), [(0.1, 0.1, 0.2, 0.2)])["face_ids"]
    person = db.value("insert into memoria.persons (event_id) values ('party') returning id")
    db.do("update memoria.faces set identity_id = %s, person_id = %s", person, person)
    return Party(
        owner, db.caller("authenticated", STRANGER), db.caller("anon"), db.service,
        face, str(person),
    )  # fmt: skip


DEEDS: dict[str, Callable[[Caller, Party], Json]] = {
    "enqueue": lambda who, _: who.enqueue("m2"),
    "event_status": lambda who, _: who("event_status", event_id="party"),
    "media": lambda who, _: who("media", event_id="party"),
    "people": lambda who, _: who("people", event_id="party"),
    "rename_person": lambda who, p: who("rename_person", person_id=p.person, name="Ann"),
    "hide_person": lambda who, p: who("hide_person", person_id=p.person, hidden=True),
    "assign_face": lambda who, p: who("assign_face", face_id=p.face),
    "reject_face": lambda who, p: who("reject_face", face_id=p.face, person_id=p.person),
    "split_person": lambda who, p: who("split_person", person_id=p.person, face_ids=[p.face]),
    "forget_person": lambda who, p: who("forget_person", person_id=p.person),
    "recluster": lambda who, _: who("recluster", event_id="party"),
    "reprocess": lambda who, _: who("reprocess", event_id="party"),
    "archive_event": lambda who, _: who("archive_event", event_id="party"),
    "reopen_event": lambda who, _: who("reopen_event", event_id="party"),
    "delete_media": lambda who, _: who("delete_media", media_id="m1"),
    "delete_event": lambda who, _: who("delete_event", event_id="party"),
    "create_event": lambda who, _: who("create_event", event_id="party"),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_the_owner_may_and_nobody_else_but_the_service(
    db: Database, party: Party, deed: str
) -> None:
    before = db.rows("select to_jsonb(e) from memoria.events e")
    for who in (party.stranger, party.anon):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            DEEDS[deed](who, party)
    assert db.rows("select to_jsonb(e) from memoria.events e") == before
    assert db.rows("select count(*) from memoria.media") == [1]
    assert isinstance(DEEDS[deed](party.owner, party), dict)


@pytest.mark.parametrize("deed", DEEDS)
def test_the_service_may_do_everything(party: Party, deed: str) -> None:
    assert isinstance(DEEDS[deed](party.service, party), dict)


def test_merging_asks_for_both_people(db: Database, party: Party) -> None:
    other = db.value("insert into memoria.persons (event_id) values ('party') returning id")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        party.stranger("merge_people", into=party.person, **{"from": str(other)})
    party.owner("merge_people", into=party.person, **{"from": str(other)})


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize("table", ["faces", "persons", "media", "jobs", "settings", "dispatches"])
def test_no_user_reads_a_table(db: Database, role: str, table: str) -> None:
    db.do(f"set role {role}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.rows(f"select * from memoria.{table}")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("claim", {"kind": "process", "job_id": "x", "event_id": "party"}),
        ("load_faces", {"event_id": "party"}),
        ("load_people", {"event_id": "party"}),
        ("status", {}),
        ("doctor", {}),
        ("sweep", {}),
        ("configure", {"settings": {}}),
        ("requeue", {}),
    ],
)
def test_workers_and_operators_functions_are_closed_to_users(
    party: Party, name: str, arguments: Json
) -> None:
    for who in (party.owner, party.stranger, party.anon):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            who(name, **arguments)
    party.service(name, **arguments)


def test_a_stranger_cannot_tell_an_event_that_exists_from_one_that_does_not(party: Party) -> None:
    messages = set()
    for event in ("party", "no such party"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
            party.stranger("event_status", event_id=event)
        messages.add(str(refused.value.diag.message_primary))
    assert len(messages) == 1


def test_a_stranger_cannot_probe_for_photos(party: Party) -> None:
    for media in ("m1", "no such photo"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            party.stranger("delete_media", media_id=media)


def test_a_stranger_cannot_take_a_photo_into_an_event_of_their_own(
    db: Database, party: Party
) -> None:
    with pytest.raises(psycopg.Error) as refused:
        party.stranger.enqueue("m1", "their own")
    assert refused.value.sqlstate == "PT409"
    assert db.value("select event_id from memoria.media") == "party"


def test_an_event_belongs_to_who_made_it(db: Database, party: Party) -> None:
    assert db.value("select owner_id from memoria.events where id = 'party'") == OWNER
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        party.stranger("create_event", event_id="gift", owner_id=OWNER)
    party.service("create_event", event_id="gift", owner_id=STRANGER)
    assert party.stranger("event_status", event_id="gift")["done"] is True


def test_the_service_hears_of_an_event_that_is_not_there(party: Party) -> None:
    with pytest.raises(psycopg.Error) as missing:
        party.service("event_status", event_id="nowhere")
    assert missing.value.sqlstate == "PT404"


def test_a_user_without_a_name_owns_nothing(db: Database) -> None:
    db.service("create_event", event_id="ownerless")
    nameless = db.caller("authenticated")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        nameless("event_status", event_id="ownerless")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        nameless("create_event", event_id="mine")


def test_an_app_puts_its_own_rule_in_place(db: Database, party: Party) -> None:
    guest = db.caller("authenticated", uuid4())
    db.do(
        "create table public.guests (event_id text, user_id uuid);"
        " create or replace function memoria.can_access_event(p_event_id text) returns boolean"
        " language sql stable security definer set search_path = '' as $$ select exists ("
        " select from public.guests where event_id = p_event_id and user_id = auth.uid()) $$"
    )
    db.do("insert into public.guests values ('party', %s)", guest.user)
    assert guest("event_status", event_id="party")["photos"]["total"] == 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        party.owner("event_status", event_id="party")


def test_a_user_has_only_their_own_objects_processed(db: Database) -> None:
    """The worker could read everyone's."""
    owner = db.caller("authenticated", OWNER)
    with psycopg.connect(db.server.url_of(db.name, "supabase_admin")) as admin:
        admin.execute(
            "create table storage.objects (bucket_id text, name text, owner_id text);"
            "grant all on storage.objects to postgres"
        )
    db.do("insert into storage.objects values ('photos', 'theirs.jpg', %s)", str(STRANGER))
    db.do("insert into storage.objects values ('photos', 'mine.jpg', %s)", str(OWNER))
    owner.enqueue("m1", path="mine.jpg")
    for bucket, path in [("photos", "theirs.jpg"), ("photos", "none.jpg"), ("gs://b", "mine.jpg")]:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner("enqueue", media_id="m2", event_id="party", bucket=bucket, path=path)
        db.service("enqueue", media_id=path + bucket, event_id="party", bucket=bucket, path=path)
