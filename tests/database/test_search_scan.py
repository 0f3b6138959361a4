"""A search of a large event: it shows what numpy shows, and reads no more rows than it must."""

from collections.abc import Iterator

import numpy as np
import psycopg
import pytest

from benchmarks.search_service import MODEL, Crowd, expected, found_by, near, seeded
from local.processes.postgres import Postgres
from memoria.clustering.thresholds import thresholds_for
from memoria.search.rules import measured_rule

PEOPLE, FACES_EACH, LOOSE = 40, 50, 300
RULE = measured_rule(MODEL, thresholds_for(MODEL))
CROWD = Crowd.made(PEOPLE, FACES_EACH, LOOSE)


@pytest.fixture(scope="module")
def connection(postgres_server: Postgres) -> Iterator[psycopg.Connection]:
    url = postgres_server.create_database("search_scan", template="migrated")
    with psycopg.connect(url) as connection:
        yield connection
    postgres_server.drop_database("search_scan")


@pytest.fixture(scope="module")
def event(connection: psycopg.Connection) -> str:
    seeded(connection, Crowd.made(5, 50, 50), MODEL)  # another one, which must not be read
    return seeded(connection, CROWD, MODEL)


def test_it_shows_exactly_what_numpy_shows(connection: psycopg.Connection, event: str) -> None:
    rng = np.random.default_rng(1)
    selfies = np.concatenate([near(CROWD.centres[:12], rng), near(CROWD.loose[:12], rng)])
    shown = [found_by(connection, event, RULE, selfie) for selfie in selfies]
    assert shown == [expected(CROWD, RULE, selfie) for selfie in selfies]
    assert sum(people for people, _ in shown) == 12
    assert sum(loose for _, loose in shown) == 12


def test_it_reads_the_loose_faces_twice_and_only_the_guests_others(
    connection: psycopg.Connection, event: str
) -> None:
    with connection.transaction():
        before = rows_read(connection)
        assert found_by(connection, event, RULE, CROWD.centres[0]) == (1, 0)
        after = rows_read(connection)
    # counted, and compared; then the faces of the one person who was found
    assert after["faces"] - before["faces"] <= 2 * LOOSE + 4 * FACES_EACH
    assert after["persons"] - before["persons"] <= 4 * PEOPLE + FACES_EACH + 20


def test_a_plan_of_a_small_database_reads_nobodys_faces_of_no_other_event(database: str) -> None:
    """Connections keep their plans while the tables grow."""
    crowd = Crowd.made(2, 3, 5)
    with psycopg.connect(database) as connection:
        event = seeded(connection, crowd, MODEL)
        for _ in range(7):
            assert found_by(connection, event, RULE, crowd.centres[0]) == (1, 0)
        other = "insert into memoria.events (id) values ('another')"
        photo = (
            "insert into memoria.media (id, event_id, bucket, path)"
            " values ('m', 'another', 'b', 'p')"
        )
        faces = (
            "insert into memoria.faces (id, event_id, media_id, media_number, x, y, w, h, score,"
            " quality, model, embedding)"
            " select gen_random_uuid(), 'another', 'm', 1, 0, 0, 0.1, 0.1, 1, 1, model, embedding"
            " from memoria.faces, generate_series(1, 100)"
        )
        with connection.transaction():
            for statement in (other, photo, faces):
                connection.execute(statement)
            before = rows_read(connection)
            assert found_by(connection, event, RULE, crowd.centres[0]) == (1, 0)
            after = rows_read(connection)
    assert after["faces"] - before["faces"] <= 100


def rows_read(connection: psycopg.Connection) -> dict[str, int]:
    """By this connection, of each table, as far as it has not told the statistics yet."""
    query = (
        "select relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)"
        " from pg_stat_xact_user_tables where relname in ('faces', 'persons')"
    )
    return dict(connection.execute(query).fetchall())
