"""PostgREST's tables and views: what is asked in the query, as one statement.

Columns, filters, order, pages, counts, insert, upsert, update, delete. Not: embedded resources,
casts, JSON paths, ``or=(…)``; those are refused by name.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, sql

Query = list[tuple[str, str]]  # name and value of each parameter, in their order
_RESERVED = ("select", "order", "limit", "offset", "columns", "on_conflict")
_OPERATORS = {
    "eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "like": "like",
    "ilike": "ilike", "match": "~", "imatch": "~*", "cs": "@>", "cd": "<@", "ov": "&&",
}  # fmt: skip
_IS = {"null": "null", "true": "true", "false": "false", "unknown": "unknown"}
_NAME = re.compile(r"[^\W\d][\w $]*")
_KIND = "select relkind from pg_catalog.pg_class where oid = to_regclass(%s)"


class QueryError(Exception):
    """The query asks for what is none, or what this stand-in does not do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``body`` is a JSON array."""

    body: str
    count: int  # rows in it
    total: int | None  # rows without the page, where that was asked


def is_table(connection: Connection[Any], name: str) -> bool:
    """Whether the API shows a table or view of this name."""
    found = connection.execute(_KIND, (_table(name).as_string(connection),)).fetchone()
    return found is not None and found[0] in "rvmpf"


def read(
    connection: Connection[Any], table: str, query: Query, *, most: int, counted: bool
) -> Answer:
    """Rows of a table, at most so many. Raises QueryError, ``psycopg.Error``."""
    asked = dict(query)
    where, values = _where(query)
    limit = min(_number(asked.get("limit"), most), most)
    source = sql.SQL("select {} from {}{}{} limit {} offset {}").format(
        _columns(asked.get("select", "*")), _table(table), where, _order(asked.get("order")),
        sql.Literal(limit), sql.Literal(_number(asked.get("offset"), 0)),
    )  # fmt: skip
    total = None
    if counted:
        count = sql.SQL("select count(*) from {}{}").format(_table(table), where)
        total = int((connection.execute(count, values).fetchone() or (0,))[0])
    return _answer(connection, source, values, total)


def insert(
    connection: Connection[Any],
    table: str,
    query: Query,
    body: Any,
    *,
    resolution: str,
    shown: bool,
) -> Answer:
    """Insert an object or several; ``resolution`` is "", "merge" or "ignore" on a duplicate."""
    rows = body if isinstance(body, list) else [body]
    if not all(isinstance(row, dict) for row in rows):
        raise QueryError("the body is an object or an array of objects")
    asked = dict(query)
    named = asked.get("columns")
    columns = (
        named.replace('"', "").split(",") if named else sorted({n for row in rows for n in row})
    )
    statement = sql.SQL("insert into {} ").format(_table(table))
    if columns:
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        statement += sql.SQL(
            "({0}) select {0} from json_populate_recordset(null::{1}, %s::json)"
        ).format(names, _table(table))
    else:
        statement += sql.SQL("default values")
    statement += _on_conflict(connection, table, asked.get("on_conflict"), columns, resolution)
    values = [json.dumps(rows)] if columns else []
    return _answer(connection, statement + _returning(asked, shown), values, None)


def update(
    connection: Connection[Any], table: str, query: Query, body: Any, *, shown: bool
) -> Answer:
    """Change the rows that the filters find. Raises QueryError, ``psycopg.Error``."""
    if not isinstance(body, dict):
        raise QueryError("the body is an object")
    if not body:
        return Answer("[]", 0, None)
    where, values = _where(query)
    names = sql.SQL(", ").join(map(sql.Identifier, body))
    statement = sql.SQL(
        "update {0} set ({1}) = (select {1} from json_populate_record(null::{0}, %s::json)){2}{3}"
    ).format(_table(table), names, where, _returning(dict(query), shown))
    return _answer(connection, statement, [json.dumps(body), *values], None)


def delete(connection: Connection[Any], table: str, query: Query, *, shown: bool) -> Answer:
    """Delete the rows that the filters find. Raises QueryError, ``psycopg.Error``."""
    where, values = _where(query)
    statement = sql.SQL("delete from {}{}{}").format(
        _table(table), where, _returning(dict(query), shown)
    )
    return _answer(connection, statement, values, None)


def _answer(
    connection: Connection[Any], statement: sql.Composed, values: list[Any], total: int | None
) -> Answer:
    whole = sql.SQL(
        "with found as ({}) select coalesce(json_agg(found), '[]')::text, count(*) from found"
    ).format(statement)
    body, count = connection.execute(whole, values).fetchone() or ("[]", 0)
    return Answer(body, count, total)


def _table(name: str) -> sql.Composable:
    return sql.Identifier("public", name)


def _returning(asked: dict[str, str], shown: bool) -> sql.Composable:
    """What is not shown needs no right to read."""
    columns = _columns(asked.get("select", "*")) if shown else sql.SQL("1")
    return sql.SQL(" returning {}").format(columns)


def _columns(select: str) -> sql.Composable:
    return sql.SQL(", ").join(map(_column, select.split(",")))


def _column(text: str) -> sql.Composable:
    alias, _, name = text.strip().rpartition(":")
    if name == "*":
        return sql.SQL("*")
    column = _identifier(name)
    return sql.SQL("{} as {}").format(column, sql.Identifier(alias)) if alias else column


def _identifier(name: str) -> sql.Composable:
    name = name.strip().strip('"')
    if not _NAME.fullmatch(name):
        raise QueryError(f'"{name}": this stand-in knows columns by their name only')
    return sql.Identifier(name)


def _number(text: str | None, default: int) -> int:
    try:
        return max(0, int(text)) if text is not None else default
    except ValueError:
        raise QueryError(f'"{text}" is no number') from None


def _order(text: str | None) -> sql.Composable:
    if not text:
        return sql.SQL("")
    return sql.SQL(" order by {}").format(sql.SQL(", ").join(map(_ordered, text.split(","))))


def _ordered(term: str) -> sql.Composable:
    name, *words = term.split(".")
    known = {"asc": "asc", "desc": "desc", "nullsfirst": "nulls first", "nullslast": "nulls last"}
    if set(words) - set(known):
        raise QueryError(f'"{term}" is no order')
    return sql.SQL("{} {}").format(_identifier(name), sql.SQL(" ".join(known[w] for w in words)))


def _where(query: Query) -> tuple[sql.Composable, list[Any]]:
    filters = [_filter(name, text) for name, text in query if name not in _RESERVED]
    if not filters:
        return sql.SQL(""), []
    terms, values = zip(*filters, strict=True)
    joined = sql.SQL(" where {}").format(sql.SQL(" and ").join(terms))
    return joined, [value for given in values for value in given]


def _filter(name: str, text: str) -> tuple[sql.Composable, list[Any]]:
    """``column=operator.value``, with ``not.`` before it or without."""
    column = _identifier(name)
    negated, operator, value = False, *text.partition(".")[::2]
    if operator == "not":
        negated, operator, value = True, *value.partition(".")[::2]
    term, values = _term(column, operator, value)
    return (sql.SQL("not ({})").format(term) if negated else term), values


def _term(column: sql.Composable, operator: str, value: str) -> tuple[sql.Composable, list[Any]]:
    if operator == "is" and value.lower() in _IS:
        return sql.SQL("{} is {}").format(column, sql.SQL(_IS[value.lower()])), []
    if operator == "in" and value.startswith("(") and value.endswith(")"):
        listed = list(_items(value[1:-1]))
        if not listed:
            return sql.SQL("false"), []
        marks = sql.SQL(", ").join([sql.Placeholder()] * len(listed))
        return sql.SQL("{} in ({})").format(column, marks), listed
    if operator in _OPERATORS:
        value = value.replace("*", "%") if "like" in operator else value
        return sql.SQL("{} {} %s").format(column, sql.SQL(_OPERATORS[operator])), [value]
    raise QueryError(f'"{operator}" is no operator that this stand-in knows')


def _items(text: str) -> Iterator[str]:
    """``a,"b,c",d``."""
    for quoted, plain in re.findall(r'"((?:[^"\\]|\\.)*)"|([^,"]+)', text):
        yield re.sub(r"\\(.)", r"\1", quoted) if quoted else plain


def _on_conflict(
    connection: Connection[Any], table: str, named: str | None, columns: list[str], resolution: str
) -> sql.Composable:
    if not resolution:
        return sql.SQL("")
    keys = named.split(",") if named else _primary_key(connection, table)
    if not keys:
        return sql.SQL("")
    target = sql.SQL(", ").join(map(sql.Identifier, keys))
    changed = [name for name in columns if name not in keys]
    if resolution == "ignore" or not changed:
        return sql.SQL(" on conflict ({}) do nothing").format(target)
    sets = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(n)) for n in changed
    )
    return sql.SQL(" on conflict ({}) do update set {}").format(target, sets)


def _primary_key(connection: Connection[Any], table: str) -> list[str]:
    rows = connection.execute(
        "select a.attname from pg_catalog.pg_index i join pg_catalog.pg_attribute a"
        " on a.attrelid = i.indrelid and a.attnum = any(i.indkey)"
        " where i.indisprimary and i.indrelid = to_regclass(%s)",
        (_table(table).as_string(connection),),
    )
    return [name for (name,) in rows]
