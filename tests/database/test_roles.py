"""Hosts, cohosts, contributors, viewers, strangers, the service role: who may do what."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.database.caller import Caller, Database, Json, wait_until_blocked

OWNER, STRANGER = UUID(int=1), UUID(int=2)
GUESTS = ("host", "cohost", "contributor", "viewer")


@dataclass
class Party:
    """The owner's event with one photo and one person, and everyone who wants something of it."""

    people: dict[str, Caller]  # by role in the event; stranger, anon, service
    face: str
    person: str
    other: str
    change: int  # a name that somebody gave
    question: str
    link: str  # for guests who search

    def __getitem__(self, role: str) -> Caller:
        return self.people[role]


@pytest.fixture
def party(db: Database) -> Party:
    db.service("create_event", event_id="party", owner_id=OWNER)
    people = {"owner": db.caller("authenticated", OWNER), "service": db.service}
    for n, role in enumerate(GUESTS):
        people[role] = db.caller("authenticated", UUID(int=10 + n))
        db.service("add_member", event_id="party", user_id=people[role].user, role=role)
    people["stranger"] = db.caller("authenticated", STRANGER)
    people["nameless"] = db.caller("authenticated")
    boxes = [(0.1, 0.1, 0.2, 0.2), (0.6, 0.1, 0.2, 0.2)]
    both = []
    for face in (faces := db.service.process("m1", boxes)["face_ids"]):
        both.append(
            db.value("insert into memoria.persons (event_id) values ('party') returning id")
        )
        db.do(
            "update memoria.faces set identity_id = %s, person_id = %s where id = %s",
            both[-1], both[-1], face,
        )  # fmt: skip
    db.do("select memoria.refresh_people(%s)", both)
    change = db.service("rename_person", person_id=str(both[1]), name="Bob")["change_id"]
    question = db.value(
        "insert into memoria.suggestions (id, event_id, kind, one_id, other_id, people, likelihood,"
        " weight) select gen_random_uuid(), 'party', 'same_person', least(one, other),"
        " greatest(one, other), array[one, other], 0.5, 0.5 from (select %s::uuid, %s::uuid)"
        " as asked (one, other) returning id",
        *both,
    )
    link = db.service("create_search_link", event_id="party")["link_id"]
    return Party(people, faces[0], str(both[0]), str(both[1]), change, str(question), link)


Deed = Callable[[Caller, Party], Json]
VIEW: dict[str, Deed] = {
    "event_status": lambda who, _: who("event_status", event_id="party"),
    "media": lambda who, _: who("media", event_id="party"),
    "photo": lambda who, _: who("photo", media_id="m1"),
    "people": lambda who, _: who("people", event_id="party"),
    "person_photos": lambda who, p: who("person_photos", person_id=p.person),
    "photos_with": lambda who, p: who("photos_with", event_id="party", people=[p.person]),
    "unassigned_faces": lambda who, _: who("unassigned_faces", event_id="party"),
}
CONTRIBUTE: dict[str, Deed] = {
    "enqueue": lambda who, _: who.enqueue("m2"),
    "enqueue_many": lambda who, _: who(
        "enqueue_many",
        event_id="party",
        media=[{"media_id": "m3", "bucket": "photos", "path": "m3"}],
    ),
}
MANAGE: dict[str, Deed] = {
    "rename_person": lambda who, p: who("rename_person", person_id=p.person, name="Ann"),
    "hide_person": lambda who, p: who("hide_person", person_id=p.person, hidden=True),
    "assign_face": lambda who, p: who("assign_face", face_id=p.face),
    "reject_face": lambda who, p: who("reject_face", face_id=p.face, person_id=p.person),
    "split_person": lambda who, p: who("split_person", person_id=p.person, face_ids=[p.face]),
    "merge_people": lambda who, p: who("merge_people", into=p.person, **{"from": [p.person]}),
    "forget_person": lambda who, p: who("forget_person", person_id=p.person),
    "reject_faces": lambda who, p: who("reject_faces", person_id=p.person, face_ids=[p.face]),
    "tell_apart": lambda who, p: who("tell_apart", a=p.person, b=p.other),
    "set_cover": lambda who, p: who("set_cover", person_id=p.person, face_id=p.face),
    "add_face": lambda who, _: who(
        "add_face", media_id="m1", bbox={"x": 0.1, "y": 0.6, "w": 0.1, "h": 0.1}
    ),
    "dismiss_face": lambda who, p: who("dismiss_face", face_id=p.face),
    "suggestions": lambda who, _: who("suggestions", event_id="party"),
    "answer_suggestion": lambda who, p: who("answer_suggestion", id=p.question, answer="not_sure"),
    "history": lambda who, _: who("history", event_id="party"),
    "undo": lambda who, p: who("undo", change_id=p.change),
    "recluster": lambda who, _: who("recluster", event_id="party"),
    "reprocess": lambda who, _: who("reprocess", event_id="party"),
    "archive_event": lambda who, _: who("archive_event", event_id="party"),
    "reopen_event": lambda who, _: who("reopen_event", event_id="party"),
    "delete_media": lambda who, _: who("delete_media", media_id="m1"),
    "delete_event": lambda who, _: who("delete_event", event_id="party"),
    "create_event": lambda who, _: who("create_event", event_id="party"),
    "members": lambda who, _: who("members", event_id="party"),
    "add_member": lambda who, _: who(
        "add_member", event_id="party", user_id=STRANGER, role="viewer"
    ),
    "remove_member": lambda who, _: who("remove_member", event_id="party", user_id=STRANGER),
    "create_search_link": lambda who, _: who("create_search_link", event_id="party"),
    "search_links": lambda who, _: who("search_links", event_id="party"),
    "searches": lambda who, _: who("searches", event_id="party"),
    "set_retention": lambda who, _: who("set_retention", event_id="party", days=30),
    "revoke_search_link": lambda who, p: who("revoke_search_link", link_id=p.link),
}
OWN: dict[str, Deed] = {
    "set_owner": lambda who, _: who("set_owner", event_id="party", owner_id=STRANGER)
}
MAY = {
    "view": ("owner", *GUESTS, "service"),
    "contribute": ("owner", "host", "cohost", "contributor", "service"),
    "manage": ("owner", "host", "cohost", "service"),
    "own": ("owner", "service"),
}
RIGHTS = {"view": VIEW, "contribute": CONTRIBUTE, "manage": MANAGE, "own": OWN}
DEEDS = [(right, name) for right, deeds in RIGHTS.items() for name in deeds]


@pytest.mark.parametrize(("right", "deed"), DEEDS)
def test_who_has_the_right_may_and_everybody_else_finds_nothing(
    db: Database, party: Party, right: str, deed: str
) -> None:
    before = db.rows("select to_jsonb(e) from memoria.events e")
    for role in party.people.keys() - MAY[right]:
        with pytest.raises(psycopg.Error) as refused:
            RIGHTS[right][deed](party[role], party)
        expected = {"PT404"} | ({"42501"} if right == "own" else set())
        assert refused.value.sqlstate in expected, role
    assert db.rows("select to_jsonb(e) from memoria.events e") == before
    assert db.rows("select count(*) from memoria.media") == [1]
    for role in (
        ("service",) if deed in ("delete_media", "delete_event", "forget_person") else MAY[right]
    ):
        if deed in ("set_owner", "split_person"):
            continue
        assert isinstance(RIGHTS[right][deed](party[role], party), dict), role


@pytest.mark.parametrize("deed", ["delete_media", "delete_event", "forget_person", "set_owner"])
@pytest.mark.parametrize("role", ["owner", "host", "cohost"])
def test_who_manages_may_destroy(party: Party, deed: str, role: str) -> None:
    deeds = MANAGE | OWN
    if deed == "set_owner" and role != "owner":
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="Only the owner"):
            deeds[deed](party[role], party)
    else:
        assert isinstance(deeds[deed](party[role], party), dict)


@pytest.mark.parametrize(("right", "deed"), DEEDS)
def test_anon_may_call_nothing(db: Database, party: Party, right: str, deed: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        RIGHTS[right][deed](db.caller("anon"), party)


NOWHERE: dict[str, Callable[[Caller, str, str], Json]] = {
    "event": lambda who, event, _: who("event_status", event_id=event),
    "media of an event": lambda who, event, _: who("media", event_id=event),
    "people of an event": lambda who, event, _: who("people", event_id=event),
    "recluster": lambda who, event, _: who("recluster", event_id=event),
    "delete event": lambda who, event, _: who("delete_event", event_id=event),
    "enqueue": lambda who, event, _: who.enqueue("new", event),
}


@pytest.mark.parametrize("deed", NOWHERE)
def test_a_stranger_cannot_tell_an_event_that_exists_from_one_that_does_not(
    party: Party, deed: str
) -> None:
    told = set()
    for event in ("party", "no such party"):
        with pytest.raises(psycopg.Error) as refused:
            NOWHERE[deed](party["stranger"], event, "")
        told.add((refused.value.sqlstate, refused.value.diag.message_primary))
    assert told == {("PT404", "There is no such event.")}


@pytest.mark.parametrize("deed", NOWHERE)
def test_nothing_of_an_event_is_read_for_a_stranger(party: Party, deed: str) -> None:
    """How long that takes would tell whether the event is there, and anybody could ask for it."""
    connection = party["stranger"].connection
    with connection.transaction(force_rollback=True):
        with pytest.raises(psycopg.Error):
            NOWHERE[deed](party["stranger"], "party", "")
        read = connection.execute(
            "select relname from pg_stat_xact_user_tables where schemaname = 'memoria'"
            " and coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) > 0"
        ).fetchall()
    assert {table for (table,) in read} <= {"events", "members"}


@pytest.mark.parametrize(
    ("function", "argument", "what"),
    [
        ("rename_person", "person_id", "person"),
        ("person_photos", "person_id", "person"),
        ("forget_person", "person_id", "person"),
        ("assign_face", "face_id", "face"),
        ("photo", "media_id", "photo"),
        ("delete_media", "media_id", "photo"),
    ],
)
def test_a_stranger_cannot_probe_for_people_faces_and_photos(
    party: Party, function: str, argument: str, what: str
) -> None:
    known = {"person": party.person, "face": party.face, "photo": "m1"}[what]
    unknown = "no such photo" if what == "photo" else str(uuid4())
    more = {"name": "Eve"} if function == "rename_person" else {}
    told = set()
    for thing in (known, unknown):
        with pytest.raises(psycopg.Error) as refused:
            party["stranger"](function, **{argument: thing}, **more)
        told.add((refused.value.sqlstate, refused.value.diag.message_primary))
    assert told == {("PT404", f"There is no such {what}.")}


def test_who_may_by_the_apps_rule_gets_an_empty_answer_for_an_event_that_is_not_known_yet(
    db: Database, party: Party
) -> None:
    db.do(
        "create or replace function memoria.can_view_event(p_event_id text) returns boolean"
        " language sql stable security definer set search_path = '' as $$ select true $$"
    )
    stranger = party["stranger"]
    status = stranger("event_status", event_id="soon")
    assert (status["done"], status["photos"]["total"], status["version"]) == (True, 0, 0)
    assert stranger("people", event_id="soon")["people"] == []
    assert stranger("media", event_id="soon")["media"] == []
    assert stranger("unassigned_faces", event_id="soon")["faces"] == []
    with pytest.raises(psycopg.Error) as missing:
        party["service"]("event_status", event_id="soon")
    assert missing.value.sqlstate == "PT404"


@pytest.mark.parametrize(
    "rule",
    [
        "can_create_event", "can_view_event", "can_contribute_to_event", "can_manage_event",
        "can_search_event",
    ],
)  # fmt: skip
def test_an_app_puts_its_own_rule_in_place_of_each(db: Database, party: Party, rule: str) -> None:
    guest = db.caller("authenticated", uuid4())
    right = rule.removeprefix("can_").split("_")[0]
    deeds = {
        "create": lambda: guest("create_event", event_id="theirs"),
        "view": lambda: guest("people", event_id="party"),
        "contribute": lambda: guest.enqueue("m2"),
        "manage": lambda: guest("recluster", event_id="party"),
    }
    if right in deeds:
        with pytest.raises(psycopg.Error) as refused:
            deeds[right]()
        assert refused.value.sqlstate == "PT404"
    db.do(
        f"create or replace function memoria.{rule}(p_event_id text) returns boolean"
        " language sql stable security definer set search_path = ''"
        f" as $$ select auth.uid() = '{guest.user}' $$"
    )
    if right in deeds:
        assert deeds[right]()
    claims = f'{{"role": "authenticated", "sub": "{guest.user}"}}'
    with db.admin.transaction():
        db.do("select set_config('request.jwt.claims', %s, true)", claims)
        assert db.value(f"select memoria.{rule}('party')") is True


# members


def test_members_come_change_and_leave(db: Database, party: Party) -> None:
    guest = db.caller("authenticated", uuid4())
    cohost = party["cohost"]
    cohost("add_member", event_id="party", user_id=guest.user, role="viewer")
    assert guest("people", event_id="party")["people"]
    with pytest.raises(psycopg.Error, match="no such event"):
        guest.enqueue("m2")
    cohost("add_member", event_id="party", user_id=guest.user, role="contributor")
    assert guest.enqueue("m2")["status"] == "queued"
    listed = cohost("members", event_id="party")
    assert listed["owner_id"] == str(OWNER)
    roles = {member["user_id"]: member["role"] for member in listed["members"]}
    assert roles[str(guest.user)] == "contributor"
    assert guest("remove_member", event_id="party", user_id=guest.user)["removed"] is True
    with pytest.raises(psycopg.Error, match="no such event"):
        guest("people", event_id="party")


def test_a_cohost_touches_no_host(party: Party) -> None:
    cohost, host = party["cohost"], party["host"]
    for change in (
        lambda: cohost("add_member", event_id="party", user_id=host.user, role="viewer"),
        lambda: cohost("remove_member", event_id="party", user_id=host.user),
        lambda: cohost("add_member", event_id="party", user_id=STRANGER, role="host"),
        lambda: cohost("add_member", event_id="party", user_id=cohost.user, role="host"),
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="Only a host"):
            change()
    host("add_member", event_id="party", user_id=cohost.user, role="host")
    cohost("remove_member", event_id="party", user_id=host.user)


def test_the_owner_is_always_host(party: Party) -> None:
    for who in ("host", "owner", "service"):
        for deed, more in (("add_member", {"role": "viewer"}), ("remove_member", {})):
            with pytest.raises(psycopg.Error, match="always host"):
                party[who](deed, event_id="party", user_id=OWNER, **more)


def test_the_owner_gives_the_event_away(party: Party) -> None:
    party["owner"]("set_owner", event_id="party", owner_id=party["viewer"].user)
    assert party["viewer"]("recluster", event_id="party")["job_id"]
    with pytest.raises(psycopg.Error, match="no such event"):
        party["owner"]("people", event_id="party")


@pytest.mark.parametrize("role", ["admin", "", None])
def test_an_unknown_role_is_named(party: Party, role: str | None) -> None:
    with pytest.raises(psycopg.Error, match="host, cohost, contributor or viewer"):
        party["owner"]("add_member", event_id="party", user_id=STRANGER, role=role)


# photos


def test_a_contributor_deletes_only_their_own_photos(db: Database, party: Party) -> None:
    contributor = party["contributor"]
    contributor.enqueue("mine")
    assert contributor("delete_media", media_id="mine")["deleted"] is True
    with pytest.raises(psycopg.Error, match="no such photo"):
        contributor("delete_media", media_id="m1")
    assert db.rows("select id from memoria.media") == ["m1"]


def test_a_contributor_points_nobody_elses_photo_elsewhere(db: Database, party: Party) -> None:
    contributor = party["contributor"]
    assert contributor.enqueue("m1")["status"] == "completed"
    with pytest.raises(psycopg.Error, match="taken by another photo"):
        contributor.enqueue("m1", path="elsewhere.jpg")
    contributor.enqueue("mine")
    contributor.enqueue("mine", path="elsewhere.jpg")
    party["cohost"].enqueue("mine", path="again.jpg")
    assert db.value("select path from memoria.media where id = 'mine'") == "again.jpg"


def test_a_stranger_squats_no_id(db: Database, party: Party) -> None:
    """Neither an event before the app makes it nor a photo before it is handed over."""
    stranger = party["stranger"]
    for attempt in (
        lambda: stranger("create_event", event_id="42"),
        lambda: stranger.enqueue("1", "42"),
    ):
        with pytest.raises(psycopg.Error) as refused:
            attempt()
        assert refused.value.sqlstate == "PT404"
    assert db.rows("select id from memoria.events") == ["party"]


def test_a_conflict_of_ids_is_never_silent(db: Database, party: Party) -> None:
    db.do(
        "create or replace function memoria.can_create_event(p_event_id text) returns boolean"
        " language sql stable security definer set search_path = '' as $$ select true $$"
    )
    stranger = party["stranger"]
    stranger("create_event", event_id="theirs")
    for who, call in (
        (stranger, lambda: stranger("create_event", event_id="party")),
        (stranger, lambda: stranger.enqueue("m1", "theirs")),
        (db.service, lambda: db.service.enqueue("m1", "theirs")),
        (db.service, lambda: db.service("create_event", event_id="party", owner_id=STRANGER)),
    ):
        with pytest.raises(psycopg.Error) as told:
            call()
        assert told.value.sqlstate == "PT409", who.role
    assert db.value("select event_id from memoria.media where id = 'm1'") == "party"


def test_an_id_that_a_user_took_is_told_and_given_back_by_hand(db: Database, party: Party) -> None:
    party["contributor"].enqueue("wedding-001")
    with pytest.raises(psycopg.Error, match="taken by another photo"):
        db.service.enqueue("wedding-001", "wedding")
    db.service("delete_media", media_id="wedding-001")
    assert db.service.enqueue("wedding-001", "wedding")["event_id"] == "wedding"


def test_members_come_in_pages(db: Database, party: Party) -> None:
    everyone = db.service("members", event_id="party")
    assert everyone["next"] is None
    pages, after = [], None
    while True:
        page = party["cohost"]("members", event_id="party", after=after, limit=1)
        pages += page["members"]
        if (after := page["next"]) is None:
            break
    assert pages == everyone["members"]
    assert len(pages) > 2


def test_an_owner_has_only_so_many_photos_waiting(db: Database, party: Party) -> None:
    db.configure(max_pending_per_owner=3)
    contributor = party["contributor"]
    db.service("create_event", event_id="another of theirs", owner_id=OWNER)
    db.service.enqueue("a", "another of theirs")
    contributor.enqueue("b")
    contributor.enqueue("c")
    with pytest.raises(psycopg.Error, match="max_pending_per_owner is 3") as refused:
        contributor.enqueue("d")
    assert refused.value.sqlstate == "PT429"
    db.configure(max_pending_per_owner=4)
    two = [{"media_id": name, "bucket": "photos", "path": "party/x.jpg"} for name in "de"]
    with pytest.raises(psycopg.Error, match="max_pending_per_owner is 4"):
        contributor("enqueue_many", event_id="party", media=two)
    db.service.enqueue("d")  # the app's backend decides for itself


def test_what_is_there_may_be_handed_over_again_however_many_wait(
    db: Database, party: Party
) -> None:
    """Before, a page that was opened again could not hand over what it had not seen arrive."""
    db.configure(max_pending_per_owner=2)
    contributor = party["contributor"]
    db.service.complete(db.service.claim(contributor.enqueue("done")))
    waiting = [contributor.enqueue(name) for name in "ab"]
    assert contributor.enqueue("a")["job_id"] == waiting[0]["job_id"]
    assert contributor.enqueue("done")["status"] == "completed"
    again = [{"media_id": name, "bucket": "photos", "path": f"party/{name}.jpg"} for name in "ab"]
    answer = contributor("enqueue_many", event_id="party", media=again)["media"]
    assert [item["job_id"] for item in answer] == [job["job_id"] for job in waiting]
    for name, path in (("c", None), ("done", "elsewhere.jpg")):
        with pytest.raises(psycopg.Error, match="max_pending_per_owner is 2"):
            contributor.enqueue(name, path=path)


def test_who_may_add_no_more_learns_nothing_of_others_photos(db: Database, party: Party) -> None:
    """Before, the answer told whether the photo of that id waits, and where it lies."""
    db.service("create_event", event_id="another", owner_id=STRANGER)
    db.service.complete(db.service.claim(db.service.enqueue("done", "another")))
    db.service.enqueue("waiting", "another")
    db.configure(max_pending_per_owner=1)
    party["owner"].enqueue("their own")
    for name in ("waiting", "done", "unknown"):
        with pytest.raises(psycopg.Error, match="max_pending_per_owner is 1"):
            party["owner"].enqueue(name, path=f"another/{name}.jpg")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("claim", {"kind": "process", "job_id": "x", "event_id": "party"}),
        ("load_faces", {"event_id": "party"}),
        ("load_people", {"event_id": "party"}),
        ("status", {}),
        ("doctor", {}),
        ("sweep", {}),
        ("sweep_if_due", {}),
        ("configure", {"settings": {}}),
        ("requeue", {}),
        ("begin_search", {"event_id": "party", "consent": "1"}),
        ("refuse_search", {"search_id": str(UUID(int=3)), "code": "x"}),
        ("search_again", {"search_id": str(UUID(int=3)), "event_id": "party"}),
        ("request_removal", {"search_id": str(UUID(int=3)), "event_id": "party"}),
    ],
)
def test_workers_and_operators_functions_are_closed_to_users(
    party: Party, name: str, arguments: Json
) -> None:
    for role in ("owner", "host", "stranger", "nameless"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            party[role](name, **arguments)
    party["service"](name, **arguments)


def test_nobody_opens_a_search_unless_the_app_lets_them(party: Party) -> None:
    for role in ("owner", *GUESTS, "stranger", "nameless", "service"):
        with pytest.raises(psycopg.Error) as refused:
            party[role]("open_search", event_id="party", consent="1")
        assert refused.value.sqlstate == "PT404", role


@pytest.mark.parametrize("role", ["authenticated", "service_role"])
def test_nobody_but_the_owner_of_the_schema_follows_a_table(db: Database, role: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.caller(role)("unfollow", table="auth.users")


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize(
    "table",
    ["faces", "persons", "media", "jobs", "settings", "dispatches", "search_links", "searches"],
)
def test_no_user_reads_a_table(db: Database, role: str, table: str) -> None:
    db.do(f"set role {role}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.rows(f"select * from memoria.{table}")


@pytest.fixture
def storage(db: Database) -> Database:
    """Two objects in Supabase Storage, the owner's and a stranger's."""
    with psycopg.connect(db.server.url_of(db.name, "supabase_admin")) as admin:
        admin.execute(
            "create table storage.objects (bucket_id text, name text, owner_id text);"
            "grant all on storage.objects to postgres"
        )
    db.service("create_event", event_id="party", owner_id=OWNER)
    db.do("insert into storage.objects values ('photos', 'victim/x.jpg', %s)", str(STRANGER))
    db.do("insert into storage.objects values ('photos', 'mine.jpg', %s)", str(OWNER))
    return db


def test_a_user_has_only_their_own_objects_processed(storage: Database) -> None:
    """The worker could read everyone's."""
    owner = storage.caller("authenticated", OWNER)
    owner.enqueue("m1", path="mine.jpg")
    for bucket, path in [("photos", "victim/x.jpg"), ("photos", "no.jpg"), ("gs://b", "mine.jpg")]:
        place = {"event_id": "party", "bucket": bucket, "path": path}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner("enqueue", media_id="m2", **place)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner(
                "enqueue", media_id="m2", event_id="party", bucket="photos",
                path="mine.jpg", preview_path="victim/x.jpg",
            )  # fmt: skip
        many = [{"media_id": "m2", "bucket": bucket, "path": path}]
        (refused,) = owner("enqueue_many", event_id="party", media=many)["media"]
        assert refused["error"]["code"] == "not_yours"
        storage.service("enqueue", media_id=(path + bucket).replace("/", ""), **place)


@pytest.mark.parametrize(
    "path",
    [
        "victim//x.jpg", "victim/x%2Ejpg", "victim%2Fx.jpg", "/victim/x.jpg", "victim/./x.jpg",
        "victim/../victim/x.jpg", "a/../x", "..", "victim/x.jpg/", "victim/x.jpg\n", "", "%",
    ],
)  # fmt: skip
def test_a_name_has_one_spelling_the_one_that_storage_will_be_asked_for(
    storage: Database, path: str
) -> None:
    """storage3 decodes escapes and drops empty segments: 'victim//x.jpg' reads 'victim/x.jpg'."""
    storage.do("insert into storage.objects values ('photos', %s, %s)", path, str(OWNER))
    owner = storage.caller("authenticated", OWNER)
    for who in (owner, storage.service):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="The path has 1 to 1024"):
            who("enqueue", media_id="m2", event_id="party", bucket="photos", path=path)
    assert storage.rows("select id from memoria.media") == []
    with pytest.raises(psycopg.errors.CheckViolation):
        storage.do(
            "insert into memoria.media (id, event_id, bucket, path)"
            " values ('m', 'party', 'photos', %s)",
            path,
        )


@pytest.mark.parametrize("path", ["a/b.jpg", "ünï é.jpg", "a b+c&d=e;f,g@h.jpg", "a..b/.c", "#?"])
def test_storage_is_asked_for_exactly_the_name_that_was_compared(db: Database, path: str) -> None:
    from storage3._sync.file_api import relative_path_to_parts
    from yarl import URL

    assert db.value("select memoria.is_object_name('photos', %s)", path) is True
    parts = relative_path_to_parts(path)
    assert "/".join(parts) == path
    asked = URL("http://storage/").joinpath("object", "sign", "photos", *parts)
    assert asked.path == f"/object/sign/photos/{path}"


@pytest.mark.parametrize("bucket", ["", "..", "a/b", "a%2Fb", "gs://", "gs://..", "a\n", "a?b"])
def test_a_bucket_is_one_name(db: Database, bucket: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="The bucket is"):
        db.service("enqueue", media_id="m", event_id="party", bucket=bucket, path="x.jpg")


def require_refused_once_removed(db: Database, user_id: UUID, function: str, **given: Any) -> None:
    """They begin while a host is just removing them, and wait for that."""
    waiting = db.caller("authenticated", user_id)
    with psycopg.connect(db.url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("select public.memoria_remove_member('party', %s)", [user_id])
        work = pool.submit(waiting, function, **given)
        wait_until_blocked(db.rows, work)
        other.commit()
        with pytest.raises(psycopg.Error) as refused:
            work.result()
    assert refused.value.sqlstate == "PT404"


@pytest.mark.parametrize("function", ["recluster", "delete_event"])
def test_who_is_removed_while_they_wait_for_the_event_may_no_longer(
    db: Database, function: str
) -> None:
    """Rights are asked again behind the lock."""
    owner, cohost = UUID(int=1), UUID(int=2)
    db.service("create_event", event_id="party", owner_id=owner)
    db.service("add_member", event_id="party", user_id=cohost, role="cohost")
    require_refused_once_removed(db, cohost, function, event_id="party")
    assert db.value("select count(*) from memoria.events") == 1


def test_a_face_is_drawn_in_no_event_to_which_the_photo_went_meanwhile(db: Database) -> None:
    host, other = UUID(int=1), UUID(int=2)
    db.service("create_event", event_id="party", owner_id=host)
    db.service("create_event", event_id="another", owner_id=other)
    db.service.enqueue("m1")
    waiting = db.caller("authenticated", host)
    box = {"x": 0.1, "y": 0.1, "w": 0.2, "h": 0.2}
    with psycopg.connect(db.url) as mover, ThreadPoolExecutor(1) as pool:
        mover.execute("select from memoria.events order by id for no key update")
        mover.execute("update memoria.media set event_id = 'another'")
        work = pool.submit(waiting, "add_face", media_id="m1", bbox=box)
        wait_until_blocked(db.rows, work)
        mover.commit()
        with pytest.raises(psycopg.Error) as refused:
            work.result()
    assert refused.value.sqlstate == "PT404"
    assert db.value("select count(*) from memoria.faces") == 0


@pytest.mark.parametrize("function", ["enqueue", "enqueue_many"])
def test_who_is_removed_while_they_wait_points_no_photo_elsewhere(
    db: Database, function: str
) -> None:
    owner, contributor = UUID(int=1), UUID(int=2)
    db.service("create_event", event_id="party", owner_id=owner)
    db.service("add_member", event_id="party", user_id=contributor, role="contributor")
    photo = {"media_id": "m1", "bucket": "photos", "path": "party.jpg"}
    db.caller("authenticated", contributor)("enqueue", event_id="party", **photo)
    photo["path"] = "elsewhere.jpg"
    given = photo if function == "enqueue" else {"media": [photo]}
    require_refused_once_removed(db, contributor, function, event_id="party", **given)
    assert db.value("select path from memoria.media") == "party.jpg"


def test_who_is_removed_while_they_wait_deletes_no_photo(db: Database) -> None:
    owner, host = UUID(int=1), UUID(int=2)
    db.service("create_event", event_id="party", owner_id=owner)
    db.service("add_member", event_id="party", user_id=host, role="host")
    db.service.enqueue("m1")
    require_refused_once_removed(db, host, "delete_media", media_id="m1")
    assert db.value("select count(*) from memoria.media") == 1


def test_a_rule_that_counts_photos_lets_the_last_one_in(db: Database) -> None:
    """It is asked before a photo is there."""
    contributor = UUID(int=2)
    db.service("create_event", event_id="party", owner_id=UUID(int=1))
    db.do(
        "create or replace function memoria.can_contribute_to_event(p_event_id text)"
        " returns boolean language sql stable security definer set search_path = ''"
        " as $$ select count(*) < 2 from memoria.media where event_id = p_event_id $$"
    )
    adding = db.caller("authenticated", contributor)
    adding("enqueue", media_id="m1", event_id="party", bucket="photos", path="1.jpg")
    adding(
        "enqueue_many",
        event_id="party",
        media=[{"media_id": "m2", "bucket": "photos", "path": "2.jpg"}],
    )
    with pytest.raises(psycopg.Error) as refused:
        adding("enqueue", media_id="m3", event_id="party", bucket="photos", path="3.jpg")
    assert refused.value.sqlstate == "PT404"
