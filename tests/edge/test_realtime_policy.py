"""The recipe of docs/delivery.md: who may see an event may follow it."""

import json
import re

import psycopg
import pytest

from tests.edge.deno import REPOSITORY

# the parts of Realtime's schema that a policy can see
_REALTIME = """
    create schema realtime;
    grant usage on schema realtime to authenticated, anon;
    create table realtime.messages (id int);
    alter table realtime.messages enable row level security;
    grant select on realtime.messages to authenticated, anon;
    create function realtime.topic() returns text language sql stable as
      $$ select current_setting('realtime.topic', true) $$;
    insert into realtime.messages values (1);
"""
OWNER = "00000000-0000-0000-0000-00000000000a"
STRANGER = "00000000-0000-0000-0000-00000000000b"


@pytest.fixture
def followed(database: str) -> str:
    """A database with Realtime's table, the recipe, and the owner's event."""
    documentation = (REPOSITORY / "docs" / "delivery.md").read_text()
    recipe = re.search(
        r"```sql\n(create function public\.may_follow_event.*?)```", documentation, re.S
    )
    assert recipe is not None
    with psycopg.connect(database) as connection:
        connection.execute(_REALTIME)
        connection.execute(recipe[1].encode())
        connection.execute("select public.memoria_create_event('gala', %s)", (OWNER,))
    return database


def may_follow(database: str, role: str, user: str | None, topic: str) -> bool:
    claims = json.dumps({"role": role, "sub": user})
    with psycopg.connect(database) as connection:
        connection.execute(
            "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true),"
            " set_config('realtime.topic', %s, true)",
            (role, claims, topic),
        )
        return connection.execute("select from realtime.messages").fetchone() is not None


def test_an_owner_follows_their_own_event_and_nobody_else_does(followed: str) -> None:
    assert may_follow(followed, "authenticated", OWNER, "memoria:gala")
    assert not may_follow(followed, "authenticated", OWNER, "memoria:other")
    assert not may_follow(followed, "authenticated", OWNER, "gala")
    assert not may_follow(followed, "authenticated", STRANGER, "memoria:gala")
    assert not may_follow(followed, "anon", None, "memoria:gala")
