"""The database with its callers."""

from collections.abc import Iterator
from itertools import count

import pytest

from local.processes.postgres import Postgres
from tests.database.caller import Database

_NUMBERS = count()


@pytest.fixture
def db(postgres_server: Postgres) -> Iterator[Database]:
    """A fresh, migrated database with callbacks on and nobody to nudge."""
    name = f"database_{next(_NUMBERS)}"
    postgres_server.create_database(name, template="migrated")
    database = Database(postgres_server, name)
    try:
        yield database
    finally:
        database.close()
        postgres_server.drop_database(name)
