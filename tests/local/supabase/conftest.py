"""One database with the stand-ins around it, without the functions."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.processes.stack import Stack, StackOptions

FUNCTIONS = Path(__file__).with_name("functions.sql")


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    with Stack(StackOptions(without=frozenset({"process", "cluster", "cron"}))) as stack:
        with psycopg.connect(stack.database_url) as connection:
            connection.execute(FUNCTIONS.read_bytes())
        yield stack
