"""The tables of the PostgREST stand-in against the real supabase-js, under row-level security."""

# ruff: noqa: E501 - programs in JavaScript
from collections.abc import Iterator

import psycopg
import pytest

from local.processes.stack import Stack
from memoria.cli import inventory
from tests.local.supabase.javascript import run

pytestmark = pytest.mark.npm
TABLE = """
create table public.albums (
  id int primary key, title text not null, owner_id uuid default auth.uid(), tags text[] default '{}',
  size int, hidden boolean
);
alter table public.albums enable row level security;
create policy own on public.albums for all to authenticated
  using (owner_id = auth.uid()) with check (owner_id = auth.uid());
grant all on public.albums to authenticated, service_role;
insert into public.albums (id, title, owner_id, size, hidden)
  select n, 'album ' || n, null, n * 10, n = 3 from generate_series(1, 5) n;
"""


@pytest.fixture(scope="module")
def albums(stack: Stack) -> Iterator[Stack]:
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(TABLE)
    yield stack
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("drop table public.albums")


def test_rows_are_read_by_columns_filters_order_and_pages(albums: Stack):
    found = run(albums, """
      const all = client(given.secret).from('albums')
      const ids = async query => (await query).data.map(row => row.id)
      return {
        columns: (await all.select('id, name:title').eq('id', 2)).data,
        page: await ids(all.select().order('id', { ascending: false }).range(1, 2)),
        within: await ids(all.select('id').in('id', [1, 3, 9]).order('id')),
        none: await ids(all.select('id').in('id', [])),
        between: await ids(all.select('id').gte('size', 20).lt('size', 40).order('id')),
        not: await ids(all.select('id').not('id', 'eq', 1).neq('id', 2).order('id')),
        like: await ids(all.select('id').ilike('title', 'ALBUM 4%')),
        nulls: await ids(all.select('id').is('owner_id', null).is('hidden', true)),
        counted: await all.select('*', { count: 'exact', head: true }).gt('id', 2),
        one: told(await all.select('title').eq('id', 1).single()),
        several: told(await all.select().single()),
        maybe: told(await all.select().eq('id', 99).maybeSingle()),
        unknown: told(await all.select('id, nothing')),
        embedded: told(await all.select('id, photos(*)')),
        missing: told(await client(given.secret).from('no_such').select()),
      }
    """)  # fmt: skip
    assert found["columns"] == [{"id": 2, "name": "album 2"}]
    assert (found["page"], found["within"], found["none"]) == ([4, 3], [1, 3], [])
    assert (found["between"], found["not"], found["like"]) == ([2, 3], [3, 4, 5], [4])
    assert (found["nulls"], found["counted"]["count"]) == ([3], 3)
    assert found["one"] == {"data": {"title": "album 1"}}
    assert found["several"]["error"]["code"] == "PGRST116"
    assert found["maybe"] == {"data": None}
    assert found["unknown"]["error"]["code"] == "42703"
    assert "columns by their name" in found["embedded"]["error"]["message"]
    assert found["missing"]["error"]["code"] == "PGRST205"


def test_what_a_user_writes_and_sees_is_what_the_policies_let_through(albums: Stack):
    found = run(albums, """
      const one = await person(), other = await person()
      return {
        quiet: told(await one.from('albums').insert({ id: 100, title: 'mine', tags: ['a', 'b,c'] })),
        shown: told(await one.from('albums').insert([{ id: 101, title: 'x' }, { id: 102, title: 'y' }]).select('id')),
        again: told(await one.from('albums').insert({ id: 100, title: 'twice' })),
        upserted: told(await one.from('albums').upsert({ id: 100, title: 'renamed' }).select('id, title, tags')),
        ignored: told(await one.from('albums').upsert({ id: 100, title: 'no' }, { ignoreDuplicates: true }).select()),
        stolen: told(await one.from('albums').insert({ id: 103, title: 'theirs', owner_id: other.id })),
        theirs: told(await other.from('albums').update({ title: 'theirs' }).eq('id', 100).select()),
        changed: told(await one.from('albums').update({ title: 'again', size: 5 }).eq('id', 100).select('title, size')),
        gone: told(await one.from('albums').delete().in('id', [100, 101, 102, 1]).select('id')),
        seen: told(await one.from('albums').select()),
        nobody: told(await client().from('albums').select()),
        wrong: told(await one.from('albums').insert({ id: 'no number', title: 'x' })),
      }
    """)  # fmt: skip
    assert found["quiet"] == {"data": None}
    assert found["shown"] == {"data": [{"id": 101}, {"id": 102}]}
    assert found["again"]["error"]["code"] == "23505"
    assert found["upserted"]["data"] == [{"id": 100, "title": "renamed", "tags": ["a", "b,c"]}]
    assert found["ignored"]["data"] == []
    assert found["stolen"]["error"]["code"] == "42501"
    assert found["theirs"]["data"] == []
    assert found["changed"]["data"] == [{"title": "again", "size": 5}]
    assert sorted(row["id"] for row in found["gone"]["data"]) == [100, 101, 102]
    assert found["seen"]["data"] == []
    assert found["nobody"]["error"]["code"] == "42501"
    assert found["wrong"]["error"]["code"] == "22P02"


def test_supabase_py_reads_pages_as_backfill_does(albums: Stack, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inventory, "_PAGE", 2)
    rows = inventory._table(albums.client(), "albums", "id")
    assert [row["id"] for row in rows] == [1, 2, 3, 4, 5]
