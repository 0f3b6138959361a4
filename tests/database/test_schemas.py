"""The migrations lead to the database that supabase/schemas describes."""

from collections.abc import Iterator

import psycopg
import pytest

from local.processes.postgres import Postgres
from local.supabase.migrations import MIGRATIONS, apply_migrations
from local.supabase.schemas import SCHEMAS, apply_schemas

# everything that a migration could leave otherwise than the schemas say it
CATALOGUE = """
    select 'function ' || oid::regprocedure, pg_get_functiondef(oid) || coalesce(proacl::text, '')
      || coalesce(obj_description(oid, 'pg_proc'), '')
    from pg_proc where prokind = 'f' and proname !~ '^_' and (
      pronamespace = 'memoria'::regnamespace
      or (pronamespace = 'public'::regnamespace and proname like 'memoria%'))
    union all
    select 'relation ' || oid::regclass, concat_ws(' ', relkind, relpersistence, relrowsecurity,
      relacl::text, reloptions::text, case when relkind = 'v' then pg_get_viewdef(oid) end)
    from pg_class where relnamespace = 'memoria'::regnamespace and relkind in ('r', 'v', 'S', 'c')
    union all
    select 'column ' || attrelid::regclass || '.' || attname, concat_ws(' ',
      format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, attacl::text,
      (select pg_get_expr(adbin, adrelid) from pg_attrdef
       where adrelid = attrelid and adnum = attnum))
    from pg_attribute join pg_class on pg_class.oid = attrelid
    where relnamespace = 'memoria'::regnamespace and relkind in ('r', 'v', 'c')
      and attnum > 0 and not attisdropped
    union all
    select 'constraint ' || conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
    from pg_constraint where connamespace = 'memoria'::regnamespace
    union all
    select 'index ' || indexrelid::regclass, pg_get_indexdef(indexrelid)
    from pg_index join pg_class on pg_class.oid = indexrelid
    where relnamespace = 'memoria'::regnamespace
    union all
    select 'trigger ' || tgrelid::regclass || '.' || tgname, pg_get_triggerdef(pg_trigger.oid)
    from pg_trigger join pg_class on pg_class.oid = tgrelid
    where relnamespace = 'memoria'::regnamespace and not tgisinternal
    union all
    select 'schema ' || nspname, coalesce(nspacl::text, '') || obj_description(oid, 'pg_namespace')
    from pg_namespace where nspname = 'memoria'
    union all
    select 'setting ' || key, to_jsonb(settings)::text from memoria.settings
"""


def catalogue(url: str) -> dict[str, str]:
    with psycopg.connect(url) as connection:
        return dict(connection.execute(CATALOGUE.encode()).fetchall())


@pytest.fixture
def described(postgres_server: Postgres) -> Iterator[str]:
    """A database made of the schemas alone."""
    url = postgres_server.create_database("described")
    apply_schemas(url)
    yield url
    postgres_server.drop_database("described")


@pytest.fixture
def migrated(postgres_server: Postgres) -> Iterator[str]:
    url = postgres_server.create_database("by_migrations")
    apply_migrations(url)
    yield url
    postgres_server.drop_database("by_migrations")


def test_the_migrations_lead_to_what_the_schemas_describe(described: str, migrated: str) -> None:
    wanted, found = catalogue(described), catalogue(migrated)
    assert len(wanted) > 300
    assert found == wanted


def test_migrations_after_the_first_may_be_applied_twice(migrated: str) -> None:
    """``make serve`` does so; and so does ``db push`` after somebody applied one by hand."""
    before = catalogue(migrated)
    assert len(apply_migrations(migrated)) == len(list(MIGRATIONS.glob("*.sql"))) - 1
    assert catalogue(migrated) == before


@pytest.mark.parametrize(
    "slip",
    [
        "create or replace function memoria.may(p_event_id text, p_right text) returns boolean"
        " language sql as 'select true'",
        "alter table memoria.media add column forgotten int",
        "drop index memoria.faces_person",
        "grant select on memoria.faces to anon",
        "alter table memoria.jobs drop constraint jobs_kind_known",
        "update memoria.settings set most = 1 where key = 'max_deaths'",
        "drop trigger send_nudge on memoria.dispatches",
    ],
)
def test_a_slip_in_a_migration_would_be_seen(described: str, slip: str) -> None:
    before = catalogue(described)
    with psycopg.connect(described) as connection:
        connection.execute(slip.encode())
    assert catalogue(described) != before


def test_every_function_is_defined_once() -> None:
    text = "".join(path.read_text() for path in SCHEMAS.glob("*.sql"))
    assert "create or replace function" not in text.replace("(`create or replace function`,", "")
