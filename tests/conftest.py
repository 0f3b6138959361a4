"""The real database for every test that asks for one."""

from collections.abc import Iterator
from itertools import count

import pytest

from local.processes.postgres import Postgres
from local.supabase.migrations import apply_migrations

_NUMBERS = count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One server for the whole session, with a migrated database ``migrated`` to copy from."""
    with Postgres() as server:
        apply_migrations(server.create_database("migrated"))
        yield server


@pytest.fixture
def database(postgres_server: Postgres) -> Iterator[str]:
    """The URL of a fresh, migrated database as the role postgres; gone after the test."""
    name = f"test_{next(_NUMBERS)}"
    yield postgres_server.create_database(name, template="migrated")
    postgres_server.drop_database(name)
