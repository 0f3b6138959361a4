"""What a new migration has to make anew is found, and leads to what the schemas say."""

import shutil
from pathlib import Path

import psycopg
import pytest

from local import changes
from local.processes.postgres import Postgres
from local.supabase import schemas

NEW = """
-- A new one.
create function memoria.newer(p_id text) returns text
language sql immutable set search_path = '' as $$
  select p_id
$$;
"""


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Schemas in which one function says something else, one takes more, and one is new."""
    folder = tmp_path / "schemas"
    shutil.copytree(schemas.SCHEMAS, folder)
    for module in (changes, schemas):
        monkeypatch.setattr(module, "SCHEMAS", folder)
    change(folder / "00_schema.sql", "between 1 and 200\n", "between 1 and 199\n")
    change(folder / "31_media.sql", "people_in(p_media_ids text[])",
           "people_in(p_media_ids text[], p_more integer default 0)")  # fmt: skip
    change(folder / "32_follow.sql", "retry_hand_overs() returns integer",
           "retry_hand_overs() returns bigint")  # fmt: skip
    with (folder / "31_media.sql").open("a") as file:
        file.write(NEW)


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@pytest.mark.usefixtures("edited")
def test_what_differs_is_made_anew_and_what_is_gone_is_dropped(postgres_server: Postgres) -> None:
    script = changes.changes(postgres_server)
    assert "create or replace function memoria.is_id(p_text text)" in script
    assert "-- A new one.\ncreate or replace function memoria.newer(p_id text)" in script
    assert "revoke all on function memoria.newer(text) from public, anon" in script
    assert "revoke all on function memoria.is_id" not in script
    assert "drop function if exists memoria.people_in(text[]);" in script
    assert "drop function if exists memoria.retry_hand_overs();" in script
    assert "revoke all on function memoria.retry_hand_overs() from public" in script
    assert "create or replace function memoria.refuse_unknown(" not in script
    with psycopg.connect(postgres_server.url_of("before_changes")) as connection:
        connection.execute(script.encode())
        connection.rollback()
