"""Who searches, forgets, deletes and sweeps at the same time: nobody waits in a circle."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from local.processes.postgres import Postgres
from memoria.store.jobs import vector_text
from tests.database.caller import Database, wait_until_blocked
from tests.database.project import Project
from tests.database.test_search import ONE_LOOK, RULE, Party, call

Other = psycopg.Connection[Any]


@pytest.fixture
def project(postgres_server: Postgres) -> Iterator[Project]:
    with Project(postgres_server.create_database("meetings", template="migrated")) as project:
        yield project
    postgres_server.drop_database("meetings")


@pytest.fixture
def other(postgres_server: Postgres, project: Project) -> Iterator[Other]:
    """A second transaction on the project's database."""
    with psycopg.connect(postgres_server.url_of("meetings")) as connection:
        yield connection


def test_an_event_that_is_deleted_meets_a_search_that_begins(
    project: Project, other: Other
) -> None:
    """Before, each waited for the other: the search held its link and wanted the event."""
    party = Party(project, people=1)
    token = party.link()
    with ThreadPoolExecutor(1) as pool:
        other.execute("select from memoria.events where id = %s for update", (party.event,))
        begun = pool.submit(party.begin, token)
        wait_until_blocked(project.rows, begun)
        other.execute("delete from memoria.events where id = %s", (party.event,))
        other.commit()
        assert begun.result() == {"outcome": "not_found"}


def test_whom_a_user_forgets_while_a_search_ends_is_not_in_the_audit(
    project: Project, other: Other
) -> None:
    party = Party(project, people=1)
    who = party.search(None, party.selfie(0))["matches"][0]["subject"]
    rule = Jsonb(RULE.as_json() | ONE_LOOK)
    begun = party.begin(None)["search_id"]
    with ThreadPoolExecutor(1) as pool:
        other.execute(
            "select public.memoria_search(%s, %s, 'small', %s)",
            (begun, vector_text(party.selfie(0)), rule),
        )
        forgotten = pool.submit(call, party.host, "forget_person", person_id=who)
        wait_until_blocked(project.rows, forgotten)
        other.commit()
        assert forgotten.result()["faces_forgotten"] == 4
    audit = call(party.host, "searches", event_id=party.event)["searches"]
    assert [(search["outcome"], search["people"]) for search in audit] == [("found", [])] * 2


def test_a_sweep_waits_neither_for_who_forgets_nor_for_who_holds_an_old_search(
    db: Database,
) -> None:
    db.service.process("m1", [(0.1, 0.1, 0.2, 0.2)])
    face = str(db.value("select id from memoria.faces"))
    person = db.service("assign_face", face_id=face)["person_id"]
    db.do("update memoria.changes set created_at = now() - interval '91 days'")
    db.do(
        "insert into memoria.searches (event_id, consent, created_at)"
        " values ('party', '1', now() - interval '1 year')"
    )
    db.service.connection.execute("set lock_timeout = '500ms'")
    with psycopg.connect(db.url) as other:
        other.execute("select from memoria.searches for update")
        other.execute("select public.memoria_forget_person(%s)", (person,))
        db.service("sweep")
        other.rollback()
    assert db.rows("select count(*) from memoria.searches") == [1]
    db.service("sweep")
    assert db.rows("select count(*) from memoria.searches") == [0]
    assert db.rows("select distinct before is null from memoria.changes") == [True]
