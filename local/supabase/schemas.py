"""``supabase/schemas``, where the SQL is written, and the migration that carries it to a database.

Until 0.2.0 is released there is one migration, and it is the schemas in their order:
``python -m local.supabase.schemas`` writes it. From then on a change is made in the schemas and
in a migration of its own; that both lead to the same database is tested
(tests/database/test_schemas.py).
"""

import psycopg

from local.supabase.migrations import MIGRATIONS
from local.supabase.released import released

SCHEMAS = MIGRATIONS.parent / "schemas"
MIGRATION = MIGRATIONS / "20261125000000_memoria.sql"
_HEAD = "-- Written by python -m local.supabase.schemas: change supabase/schemas instead.\n"


def migration_text() -> str:
    """All schemas in their order, as one migration."""
    parts = [f"\n-- {path.name}\n\n{path.read_text()}" for path in sorted(SCHEMAS.glob("*.sql"))]
    return _HEAD + "".join(parts)


def apply_schemas(url: str) -> None:
    """Applies the schemas themselves to an empty database."""
    with psycopg.connect(url) as connection:
        for path in sorted(SCHEMAS.glob("*.sql")):
            try:
                connection.execute(path.read_bytes())
            except psycopg.Error as error:
                error.add_note(f"in {path.name}")
                raise


def write_migration() -> None:
    """Raises SystemExit where the migration is released, and never changes again."""
    if MIGRATION.name in released():
        raise SystemExit(f"{MIGRATION.name} is released: write a migration of its own")
    MIGRATION.write_text(migration_text())


if __name__ == "__main__":
    write_migration()
