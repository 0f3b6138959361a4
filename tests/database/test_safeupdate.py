"""No function of ours has a statement that safeupdate refuses.

A hosted project loads safeupdate into every session of PostgREST's: an UPDATE or DELETE without
WHERE raises 21000, also within a function. The extension cannot be had here, so the statements
are read: each must have a WHERE of its own, on its own level of parentheses.
"""

import re

import pytest

from tests.database.caller import Database

_TOKEN = re.compile(
    r"--[^\n]*|\(|\)|;|\bwhere\b|\bfor(?:\s+no\s+key)?\s+update\b|\bdo\s+update\b"
    r"|\bupdate\s+of\b|\bon\s+(?:update|delete)\b|\bupdate\s+[\w.]+(?:\s+as)?(?:\s+\w+)?\s+set\b"
    r"|\bdelete\s+from\s+[\w.]+",
    re.IGNORECASE,
)


def unguarded(body: str) -> list[str]:
    """The starts of UPDATE and DELETE statements without a WHERE of their own."""
    found: list[str] = []
    levels: list[str | None] = [None]  # per level of parentheses: the statement that still lacks it

    def close() -> None:
        if levels[-1]:
            found.append(levels[-1])

    for token in (match.group().lower() for match in _TOKEN.finditer(body)):
        if token == "(":
            levels.append(None)
        elif token == ")" and len(levels) > 1:
            close()
            levels.pop()
        elif token == "where":
            levels[-1] = None
        elif token == ";" or token.startswith(("update", "delete")):
            close()
            levels[-1] = None if token in (";", "update of") else token
    close()
    return found


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("delete from a;", 1),
        ("delete from a where b;", 0),
        ("update m.a as x set b = (select c from d where e);", 1),
        ("update a set b = 1 where c; update a set b = 2; select 1 where d", 1),
        ("with gone as (delete from a returning b) select b from gone where b", 1),
        ("with gone as (delete from a where b in (select 1)) update c set d = 1 where e", 0),
        ("insert into a values (1) on conflict do update set b = 2", 0),
        ("select 1 from a for update; -- delete from a\n", 0),
    ],
)
def test_what_lacks_a_condition_is_found(body: str, count: int) -> None:
    assert len(unguarded(body)) == count


def test_every_update_and_delete_of_ours_has_a_condition(db: Database) -> None:
    bodies = db.rows(
        "select p.oid::regprocedure::text, prosrc from pg_proc as p"
        " where pronamespace = 'memoria'::regnamespace"
        " or (pronamespace = 'public'::regnamespace and proname like 'memoria%')"
    )
    assert len(bodies) > 50
    refused = {name: found for name, body in bodies if (found := unguarded(body))}
    assert not refused
