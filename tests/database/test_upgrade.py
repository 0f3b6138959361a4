"""A database in use is led from 0.2.0 to what is there now: nothing that was in it changes."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.processes.postgres import Postgres
from local.supabase.migrations import MIGRATIONS, apply_migrations
from local.supabase.schemas import FIRST_MIGRATION
from tests.database.project import Project
from tests.database.test_undo import Host


@pytest.fixture
def url(postgres_server: Postgres, tmp_path: Path) -> Iterator[str]:
    """A database as 0.2.0 made it."""
    shutil.copy(FIRST_MIGRATION, tmp_path)
    url = postgres_server.create_database("first_release")
    apply_migrations(url, tmp_path)
    yield url
    postgres_server.drop_database("first_release")


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
