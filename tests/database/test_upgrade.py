"""A database in use is led from 0.2.0 to what is there now: nothing that was in it changes."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from local.processes.postgres import Postgres
from local.supabase.migrations import MIGRATIONS, apply_migrations
from local.supabase.schemas import FIRST_MIGRATION
from tests.database.caller import Caller, Database, wait_until_blocked
from tests.database.project import Project
from tests.database.test_follow import ANYBODY_MAKES_EVENTS, HOST, STRANGER
from tests.database.test_undo import Host


@pytest.fixture
def url(postgres_server: Postgres, tmp_path: Path) -> Iterator[str]:
    """A database as 0.2.0 made it."""
    shutil.copy(FIRST_MIGRATION, tmp_path)
    url = postgres_server.create_database("first_release")
    apply_migrations(url, tmp_path)
    yield url
    postgres_server.drop_database("first_release")


@pytest.fixture
def app(url: str, postgres_server: Postgres) -> Iterator[Database]:
    """It as apps and users see it."""
    database = Database(postgres_server, "first_release")
    yield database
    database.close()


def told(party: Host) -> list[Any]:
    names = ("event_status", "people", "media", "unassigned_faces", "history", "suggestions")
    return [party.project.call(name, event_id=party.event) for name in names]


def test_an_event_in_use_stays_as_it_is_and_goes_on(url: str) -> None:
    with Project(url) as project:
        party = Host(project)
        renamed = party.does("rename_person", person_id=party.ann, name="Ann")
        party.does("assign_face", face_id=party.stranger, person_id=party.bob)
        late = {"media_id": "late", "event_id": party.event, "bucket": "photos", "path": "late"}
        project.call("enqueue", **late)
        before = told(party), party.seen()

        later = apply_migrations(url, MIGRATIONS)

        assert len(later) == len(list(MIGRATIONS.glob("*.sql"))) - 1
        assert (told(party), party.seen()) == before
        project.process(party.event, "late", [])
        party.faces["Ann"] += party.shows("Ann", 3)
        party.cluster()
        assert party.person(party.faces["Ann"]) == party.ann
        assert party.person([party.stranger]) == party.bob
        assert party.undone(renamed)


def test_who_made_an_event_that_is_still_theirs_said_when_it_ends(url: str) -> None:
    """Of others, nobody knows who it was."""
    with Project(url) as project:
        project.sql.execute(
            "insert into memoria.events (id, made_by, owner_id, status, archive_at)"
            " select name, maker, case when name <> 'given' then maker else gen_random_uuid() end,"
            "   case when name = 'timed' then 'open' else 'archived' end,"
            "   case when name = 'timed' then now() end"
            " from unnest(array['timed', 'ended', 'given']) as name, gen_random_uuid() as maker"
        )
        apply_migrations(url, MIGRATIONS)
        said = project.rows(
            "select id, archive_time_by = made_by as set, archived_by = made_by as did"
            " from memoria.events order by id"
        )
    assert [tuple(event.values()) for event in said] == [
        ("ended", None, True), ("given", None, None), ("timed", True, None),
    ]  # fmt: skip


def test_events_that_a_followed_table_confirmed_are_the_apps(url: str) -> None:
    """0.2.0 went on taking them for events that only a user says whose they are."""
    with Project(url) as project:
        project.sql.execute(
            "insert into memoria.events (id, owner_id, made_by)"
            " select id, maker, maker"
            " from unnest(array['theirs', 'followed']) as id, gen_random_uuid() as maker"
        )
        project.sql.execute(
            "insert into memoria.media (id, event_id, bucket, path, source)"
            " values ('1', 'followed', 'photos', 'p.jpg', 'public.pics'),"
            " ('2', 'theirs', 'photos', 'p.jpg', null)"
        )
        apply_migrations(url, MIGRATIONS)
        made_by_a_user = project.rows("select id from memoria.events where made_by is not null")
        assert [event["id"] for event in made_by_a_user] == ["theirs"]


def test_whom_a_former_owners_people_let_in_does_not_stay_for_the_app(
    url: str, app: Database
) -> None:
    """A friend who has left had let the stranger in who made the event: not the owner's word."""
    friend = UUID(int=3)
    app.do(ANYBODY_MAKES_EVENTS)
    stranger = app.caller("authenticated", STRANGER)
    inviting = app.caller("authenticated", friend)
    stranger("create_event", event_id="party")
    stranger("add_member", event_id="party", user_id=friend, role="host")
    stranger("set_owner", event_id="party", owner_id=HOST)
    inviting("add_member", event_id="party", user_id=STRANGER, role="host")
    inviting("remove_member", event_id="party", user_id=friend)
    apply_migrations(url, MIGRATIONS)
    app.do("create table public.pics (id bigint primary key, event text, path text, host uuid)")
    app.value(
        "select memoria_follow('public.pics', 'id', 'event', 'path', 'photos', p_owner => 'host')"
    )
    app.do("insert into public.pics values (1, 'party', 'p.jpg', %s)", HOST)
    with pytest.raises(psycopg.Error, match="no such event"):
        stranger("media", event_id="party")
    assert app.value("select count(*) from memoria.members") == 0


MEANWHILE: dict[str, Callable[[Caller], Any]] = {
    "a photo": lambda host: host.enqueue("m1")["status"],
    "several photos": lambda host: host(
        "enqueue_many", event_id="party",
        media=[{"media_id": "m1", "bucket": "photos", "path": "party/m1.jpg"}],
    )["media"][0]["status"],
}  # fmt: skip


@pytest.mark.parametrize("given", MEANWHILE)
def test_what_is_handed_over_during_the_upgrade_is_taken(
    url: str, app: Database, tmp_path: Path, given: str
) -> None:
    """A call goes on with the body that it began with: what that asks must still be there."""
    newest = before_the_newest(url, tmp_path)
    app.service("create_event", event_id="party", owner_id=HOST)
    host = app.caller("authenticated", HOST)
    with psycopg.connect(url) as upgrade, ThreadPoolExecutor(1) as pool:
        upgrade.execute(newest)
        handed_over = pool.submit(MEANWHILE[given], host)
        wait_until_blocked(app.rows, handed_over)
        upgrade.commit()
        assert handed_over.result() == "queued"


def test_a_table_is_left_alone_during_the_upgrade(url: str, app: Database, tmp_path: Path) -> None:
    newest = before_the_newest(url, tmp_path)
    app.service("create_event", event_id="party", owner_id=HOST)
    app.do("create table public.pics (id bigint primary key, event text, path text)")
    app.value("select memoria_follow('public.pics', 'id', 'event', 'path', 'photos')")
    app.do("alter table memoria.media rename to hidden")
    app.do("insert into public.pics values (1, 'party', 'p.jpg')")
    app.do("alter table memoria.hidden rename to media")
    with (
        psycopg.connect(url) as upgrade,
        psycopg.connect(url, autocommit=True) as leaving,
        ThreadPoolExecutor(1) as pool,
    ):
        upgrade.execute(newest)
        left = pool.submit(leaving.execute, "select memoria_unfollow('public.pics')")
        wait_until_blocked(app.rows, left)
        upgrade.commit()
        left.result()
    assert app.rows("select id, source from memoria.media") == [("1", None)]


def before_the_newest(url: str, folder: Path) -> bytes:
    """Leads the database to the release before; what is left to apply."""
    *released, newest = sorted(MIGRATIONS.glob("*.sql"))
    for migration in released:
        shutil.copy(migration, folder)
    apply_migrations(url, folder)
    return newest.read_bytes()
