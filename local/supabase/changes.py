"""The functions that a new migration has to make anew: ``python -m local.supabase.changes``.

Prints those whose definition in ``supabase/schemas`` differs from what the released migrations
lead to. Tables, views, types and grants of functions in ``public`` are written by hand above them.
"""

import re
import sys
import tempfile
from pathlib import Path

import psycopg

from local.processes.postgres import Postgres
from local.supabase.migrations import MIGRATIONS, apply_migrations
from local.supabase.released import released
from local.supabase.schemas import SCHEMAS, apply_schemas

_FUNCTIONS = """
    select proname, oid::regprocedure::text, pg_get_functiondef(oid),
      pronamespace = 'memoria'::regnamespace
    from pg_proc where prokind = 'f' and (pronamespace = 'memoria'::regnamespace
      or (pronamespace = 'public'::regnamespace and proname like 'memoria%'))
"""
_NOBODY = "public, anon, authenticated, service_role"


def changes(server: Postgres) -> str:
    """SQL that leads the functions of the released migrations to those of the schemas."""
    known, wanted = _released(server), _described(server)
    parts = []
    for text in _texts():
        name = re.search(r"create function \w+\.(\w+)", text)[1]  # type: ignore[index]
        for signature, (of, definition, is_ours) in wanted.items():
            if of == name and definition != known.get(signature, ("", "", True))[1]:
                parts.append(text.replace("create function", "create or replace function", 1))
                if is_ours and signature not in known:
                    parts.append(f"revoke all on function {signature} from {_NOBODY};\n")
    parts += [f"drop function {signature};\n" for signature in known.keys() - wanted.keys()]
    return "\n".join(parts)


def _texts() -> list[str]:
    """Each function of the schemas with the comment above it, in their order."""
    whole = "\n".join(path.read_text() for path in sorted(SCHEMAS.glob("*.sql")))
    return re.findall(
        r"(?:^--[^\n]*\n)*^create function .*?^\$\$;\n", whole, re.MULTILINE | re.DOTALL
    )


def _released(server: Postgres) -> dict[str, tuple[str, str, bool]]:
    with tempfile.TemporaryDirectory() as folder:
        for name in released():
            (Path(folder) / name).write_bytes((MIGRATIONS / name).read_bytes())
        url = server.create_database("before_changes")
        apply_migrations(url, Path(folder))
    return _functions(url)


def _described(server: Postgres) -> dict[str, tuple[str, str, bool]]:
    url = server.create_database("after_changes")
    apply_schemas(url)
    return _functions(url)


def _functions(url: str) -> dict[str, tuple[str, str, bool]]:
    """Signature -> name, definition, whether it is in our own schema."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(_FUNCTIONS.encode()).fetchall()
    return {signature: (name, text, is_ours) for name, signature, text, is_ours in rows}


def main() -> None:
    with Postgres() as server:
        sys.stdout.write(changes(server))


if __name__ == "__main__":
    main()
