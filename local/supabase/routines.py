"""Which SQL function a request means, and the statement that calls it, as PostgREST does both."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, sql
from psycopg.rows import class_row

# PostgREST applies these function settings to the whole transaction, before the call
HOISTED = ("statement_timeout", "plan_filter.statement_cost_limit", "default_transaction_isolation")

_FIND = """
select p.proname as name,
       p.provolatile <> 'v' as read_only,
       p.proretset as returns_set,
       r.typname = 'void' as returns_void,
       r.typtype = 'c' or r.typname = 'record' or coalesce(p.proargmodes && '{o,b,t}', false)
         as returns_rows,
       coalesce(p.proconfig, '{}') as settings,
       p.pronargs - p.pronargdefaults as required_count,
       inputs.names, inputs.types
from pg_catalog.pg_proc p
join pg_catalog.pg_type r on r.oid = p.prorettype
cross join lateral (
  select coalesce(array_agg(coalesce(p.proargnames[n], '') order by n), '{}') as names,
         coalesce(array_agg(pg_catalog.format_type(t, null) order by n), '{}') as types
  from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality as a (t, n)
  where p.proargmodes is null or p.proargmodes[n] in ('i', 'b', 'v')
) inputs
where p.pronamespace = 'public'::regnamespace and p.proname = %s
  and p.prokind = 'f' and r.typname not in ('trigger', 'event_trigger')
"""


_ROLE_SETTINGS = """
select unnest(setconfig) from pg_catalog.pg_db_role_setting
where setrole = %s::regrole and setdatabase = 0
"""


@dataclass(frozen=True, slots=True)
class Routine:
    """One overload of a function in the exposed schema."""

    name: str
    read_only: bool
    returns_set: bool
    returns_void: bool
    returns_rows: bool  # a composite, or any OUT or TABLE argument
    settings: Sequence[str]
    required_count: int
    names: Sequence[str]  # of the input arguments, in order
    types: Sequence[str]

    @property
    def takes_whole_body(self) -> bool:
        """A single unnamed json or jsonb argument: PostgREST's fallback."""
        return list(self.names) == [""] and self.types[0] in ("json", "jsonb")

    def matches(self, keys: AbstractSet[str]) -> bool:
        """Whether required ⊆ keys ⊆ all arguments."""
        return set(self.names[: self.required_count]) <= keys <= set(self.names)

    def hoisted(self) -> dict[str, str]:
        """The settings that hold for the whole transaction."""
        pairs = (setting.split("=", 1) for setting in self.settings)
        return {name: value for name, value in pairs if name in HOISTED}


def find_routines(connection: Connection[Any], name: str) -> list[Routine]:
    """Every overload of a name; the search path must be empty, so that types come qualified."""
    with connection.cursor(row_factory=class_row(Routine)) as cursor:
        return cursor.execute(_FIND, (name,)).fetchall()


def role_settings(connection: Connection[Any], role: str) -> dict[str, str]:
    """What ``alter role … set`` says of the role that a call takes on: PostgREST applies it."""
    rows = connection.execute(_ROLE_SETTINGS, (role,)).fetchall()
    return dict(str(setting).split("=", 1) for (setting,) in rows)


def call_statement(routine: Routine, keys: AbstractSet[str], max_rows: int) -> sql.Composed:
    """``select body, rows`` for a call whose JSON body is the parameter ``body``."""
    given = [(n, t) for n, t in zip(routine.names, routine.types, strict=True) if n in keys]
    function = sql.Identifier("public", routine.name)
    source: sql.Composable = sql.SQL("(select %(body)s::json as json_data) p")
    if routine.takes_whole_body and not given:
        call: sql.Composable = sql.SQL("{}(p.json_data::{})").format(
            function, _type(routine.types[0])
        )
    else:
        pairs = (sql.SQL("{0} := b.{0}").format(sql.Identifier(n)) for n, _ in given)
        call = sql.SQL("{}({})").format(function, sql.SQL(", ").join(pairs))
    if given:
        columns = (sql.SQL("{} {}").format(sql.Identifier(n), _type(t)) for n, t in given)
        source = sql.SQL(
            "{}, lateral (select * from json_to_record(p.json_data) as _({}) limit 1) b"
        ).format(source, sql.SQL(", ").join(columns))
    if not routine.returns_rows:
        call = sql.SQL("(select {} as pgrst_scalar)").format(call)
    row = sql.SQL("t" if routine.returns_rows else "t.pgrst_scalar")
    body = (
        "coalesce(json_agg({}), '[]')"
        if routine.returns_set
        else "coalesce(json_agg({})->0, 'null')"
    )
    return sql.SQL(
        "select {body}::text, count(*) from"
        " (select c.* from {source}, lateral {call} c limit {limit}) t"
    ).format(body=sql.SQL(body).format(row), source=source, call=call, limit=sql.Literal(max_rows))


def _type(name: str) -> sql.SQL:
    return sql.SQL(name)  # as the catalogue's format_type() spells it
