"""What the library makes of a PostgREST that has no connection to give, or an old schema cache."""

import time
from collections.abc import Iterator
from threading import Timer
from typing import Any

import httpx
import psycopg
import pytest
from flask import Flask
from psycopg_pool import ConnectionPool
from supabase import Client, ClientOptions

from local.processes.stack import Stack
from local.supabase.keys import Keys
from local.supabase.rest import rest_blueprint
from memoria.cli import doctor
from memoria.errors import StoreUnavailable
from memoria.store import client as store
from memoria.store.client import rpc

KEYS = Keys("sb_secret_test", "sb_publishable_test", "a-secret-of-at-least-32-characters-")
Pool = ConnectionPool[psycopg.Connection[Any]]


@pytest.fixture
def pool(stack: Stack) -> Iterator[Pool]:
    url = stack.postgres.url_of("postgres", "authenticator")
    with ConnectionPool(url, min_size=1, max_size=1, timeout=0.3, open=True) as pool:
        pool.wait()
        yield pool


def project(pool: Pool, **options: Any) -> Client:
    app = Flask("rest")
    app.register_blueprint(rest_blueprint(pool, KEYS, **options))
    http = httpx.Client(transport=httpx.WSGITransport(app=app))
    return Client("http://project.test", KEYS.secret, ClientOptions(httpx_client=http))


def test_a_full_pool_is_waited_for_within_the_call_even_by_a_claim(pool: Pool) -> None:
    holding = pool.getconn()
    giving_back = Timer(0.5, pool.putconn, [holding])
    giving_back.start()
    started = time.monotonic()
    assert rpc(project(pool), "echo", {"value": {"a": 1}}, retries=0) == {"a": 1}
    assert time.monotonic() - started > 0.5
    giving_back.join()


def test_a_pool_that_stays_full_is_an_outage_in_the_end(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_PAUSES_SECONDS", (0.01, 0.01))
    holding = pool.getconn()
    with pytest.raises(StoreUnavailable, match="PGRST003"):
        rpc(project(pool), "add", {"a": 1}, retries=0)
    pool.putconn(holding)


def test_what_may_have_begun_is_not_repeated_where_the_caller_forbids_it(pool: Pool) -> None:
    asked: list[httpx.Request] = []

    def lose(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(503, json={"code": "PGRST001", "message": "lost"})

    http = httpx.Client(transport=httpx.MockTransport(lose))
    client = Client("http://project.test", KEYS.secret, ClientOptions(httpx_client=http))
    with pytest.raises(StoreUnavailable, match="PGRST001"):
        rpc(client, "add", {"a": 1}, retries=0)
    assert len(asked) == 1


def test_the_doctor_tells_a_stale_schema_cache(
    stack: Stack, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {
        "SUPABASE_URL": stack.supabase_url, "SUPABASE_SERVICE_ROLE_KEY": KEYS.secret,
        "CALLBACK_URL": "off", "WEBHOOK_SECRET": "off",
    }  # fmt: skip
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(doctor, "open_client", lambda _: project(pool, schema_cache={"other"}))
    *_, found = doctor.examine(probe=False, wait_seconds=0)
    assert (found.about, found.state) == ("database", "wrong")
    assert "schema cache is stale" in found.mend
