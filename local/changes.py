"""The functions that a new migration has to make anew: ``python -m local.changes``.

Prints those whose definition in ``supabase/schemas`` differs from what the released migrations
lead to. Tables, views, types and grants of functions in ``public`` are written by hand above them.
"""

import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg

from local.processes.postgres import Postgres
from local.supabase.migrations import MIGRATIONS, apply_migrations
from local.supabase.released import released
from local.supabase.schemas import SCHEMAS, apply_schemas

_FUNCTIONS = """
    select oid::regprocedure::text, proname, pg_get_functiondef(oid),
      concat_ws(' ', pg_get_function_arguments(oid), pg_get_function_result(oid)),
      pronamespace = 'memoria'::regnamespace
    from pg_proc where prokind = 'f' and (pronamespace = 'memoria'::regnamespace
      or (pronamespace = 'public'::regnamespace and proname like 'memoria%'))
"""
_NOBODY = "public, anon, authenticated, service_role"


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a database; ``shape`` is what cannot be replaced: arguments and result."""

    name: str
    definition: str
    shape: str
    is_ours: bool  # in our own schema: nobody may call it

    def is_of(self, text: str) -> bool:
        """Whether it was made by this statement."""
        made = text.partition("create function ")[2].partition("(")[0].partition(".")[2]
        return made == self.name and self.definition.split("$function$")[1] in text


def changes(server: Postgres) -> str:
    """SQL that leads the functions of the released migrations to those of the schemas."""
    known, wanted = _released(server), _described(server)
    kept = {
        name for name in known.keys() & wanted.keys() if known[name].shape == wanted[name].shape
    }
    parts = [f"drop function if exists {signature};\n" for signature in sorted(known.keys() - kept)]
    for text in _texts():
        for signature, function in wanted.items():
            if not function.is_of(text) or function == known.get(signature):
                continue
            parts.append(text.replace("create function", "create or replace function", 1))
            if function.is_ours and signature not in kept:
                parts.append(f"revoke all on function {signature} from {_NOBODY};\n")
    return "\n".join(parts)


def _texts() -> list[str]:
    """Each function of the schemas with the comment above it, in their order."""
    whole = "\n".join(path.read_text() for path in sorted(SCHEMAS.glob("*.sql")))
    return re.findall(
        r"(?:^--[^\n]*\n)*^create function .*?^\$\$;\n", whole, re.MULTILINE | re.DOTALL
    )


def _released(server: Postgres) -> dict[str, Function]:
    with tempfile.TemporaryDirectory() as folder:
        for name in released():
            (Path(folder) / name).write_bytes((MIGRATIONS / name).read_bytes())
        url = server.create_database("before_changes")
        apply_migrations(url, Path(folder))
    return _functions(url)


def _described(server: Postgres) -> dict[str, Function]:
    url = server.create_database("after_changes")
    apply_schemas(url)
    return _functions(url)


def _functions(url: str) -> dict[str, Function]:
    """By their signatures."""
    with psycopg.connect(url) as connection:
        connection.execute("set search_path = ''")  # every type by its whole name
        rows = connection.execute(_FUNCTIONS.encode()).fetchall()
    return {signature: Function(*rest) for signature, *rest in rows}


def main() -> None:
    with Postgres() as server:
        sys.stdout.write(changes(server))


if __name__ == "__main__":
    main()
