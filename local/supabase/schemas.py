"""``supabase/schemas``, where the SQL is written, and the migration that carries it to a database.

The first migration was the schemas in their order, when 0.2.0 was released. Since then a change is
made in the schemas and in a migration of its own; that both lead to the same database is tested
(tests/database/test_schemas.py).
"""

import psycopg

from local.supabase.migrations import MIGRATIONS

SCHEMAS = MIGRATIONS.parent / "schemas"
FIRST_MIGRATION = MIGRATIONS / "20261125000000_memoria.sql"


def apply_schemas(url: str) -> None:
    """Applies the schemas themselves to an empty database."""
    with psycopg.connect(url) as connection:
        for path in sorted(SCHEMAS.glob("*.sql")):
            try:
                connection.execute(path.read_bytes())
            except psycopg.Error as error:
                error.add_note(f"in {path.name}")
                raise
