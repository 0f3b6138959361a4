"""The nudge as it lies in pg_net's queue, with the local stand-in for pg_net."""

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest

from tests.database.caller import Database, Json

PG_NET = Path(__file__).parents[2] / "local" / "supabase" / "pg_net.sql"
QUEUE = "select url, headers, body, timeout_milliseconds from net.http_request_queue order by id"
SECRET = "the webhook's own secret"


@pytest.fixture
def wired(db: Database) -> Database:
    db.do(PG_NET.read_text())
    db.configure(
        process_url="https://process.example/", cluster_url="https://cluster.example/",
        webhook_secret=SECRET, nudge_timeout_ms=1234, quiet_period_seconds=0,
    )  # fmt: skip
    return db


def queued(db: Database) -> list[tuple[str, Json, Json, int]]:
    return [
        (url, headers, json.loads(bytes(body)), timeout)
        for url, headers, body, timeout in db.rows(QUEUE)
    ]


def test_a_nudge_is_the_webhook_payload_of_the_dispatch(wired: Database) -> None:
    job = wired.service.enqueue("m1")
    ((url, headers, payload, timeout),) = queued(wired)
    assert url == "https://process.example/"
    assert timeout == 1234
    assert headers["Content-Type"] == "application/json"
    record = payload.pop("record")
    assert payload == {
        "type": "INSERT", "table": "dispatches", "schema": "memoria", "old_record": None,
    }  # fmt: skip
    row = wired.value("select to_jsonb(d) - 'request_id' from memoria.dispatches d")
    assert record == row
    assert (record["service"], record["kind"], record["job_id"]) == (
        "process", "process", job["job_id"],
    )  # fmt: skip


def test_the_exact_bytes_are_signed(wired: Database) -> None:
    wired.service.enqueue("m1")
    ((_, headers, body, _),) = wired.rows(QUEUE)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + bytes(body)
    expected = hmac.digest(SECRET.encode(), signed, hashlib.sha256)
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()


def test_the_secret_is_not_in_the_readable_queue(wired: Database) -> None:
    wired.service.enqueue("m1")
    everything = wired.value("select string_agg(q::text, '') from net.http_request_queue q")
    assert SECRET not in everything
    assert SECRET.encode().hex() not in everything
    assert "uthorization" not in everything


def test_clustering_nudges_its_own_service_and_callbacks_the_one_that_did_the_work(
    wired: Database,
) -> None:
    wired.service.process("m1")
    wired.expire("dispatched")
    wired.service("sweep")
    sent = [(url, payload["record"]["kind"]) for url, _, payload, _ in queued(wired)]
    assert ("https://cluster.example/", "cluster") in sent
    assert ("https://process.example/", "callback") in sent


@pytest.mark.parametrize(
    "trouble",
    [
        "drop function net.http_post",
        "drop schema net cascade",
        "drop table net.http_request_queue cascade",
        "update memoria.settings set value = '\"whsec_not*base64\"' where key = 'webhook_secret'",
        "update memoria.settings set value = '\"much too long\"' where key = 'nudge_timeout_ms'",
        "update memoria.settings set value = 'null' where key = 'process_url'",
    ],
)
def test_no_trouble_with_the_nudge_makes_an_insert_fail(wired: Database, trouble: str) -> None:
    if trouble.startswith("drop function"):
        trouble = wired.value(
            "select 'drop function ' || oid::regprocedure from pg_proc"
            " where proname = 'http_post' and pronamespace = 'net'::regnamespace"
        )
    wired.do(trouble)
    job = wired.service.enqueue("m1")
    assert wired.value("select status from memoria.media") == "pending"
    assert wired.service.claim(job)["outcome"] == "claimed"


def test_trouble_in_the_dispatcher_does_not_make_an_insert_fail_either(wired: Database) -> None:
    wired.do(
        "update memoria.settings set value = '{\"process\": \"x\"}' where key = 'max_in_flight'"
    )
    wired.service.enqueue("m1")
    assert wired.rows("select status from memoria.jobs") == ["queued"]
    wired.do("update memoria.settings set value = '{\"process\": 1}' where key = 'max_in_flight'")
    wired.service("sweep")
    assert wired.rows("select status from memoria.jobs where kind = 'process'") == ["dispatched"]


def test_vault_wins_over_the_settings(wired: Database) -> None:
    wired.do(
        "create schema vault; create view vault.decrypted_secrets as"
        " select 'memoria_process_url' as name, 'https://vault.example/' as decrypted_secret"
    )
    wired.service.enqueue("m1")
    assert [url for url, *_ in queued(wired)] == ["https://vault.example/"]


def test_the_doctor_shows_what_the_last_nudges_came_to(wired: Database) -> None:
    wired.service.enqueue("m1")
    wired.do(
        "insert into net._http_response (id, status_code, timed_out)"
        " select request_id, 503, false from memoria.dispatches"
    )
    doctor = wired.service("doctor")
    assert [nudge["status_code"] for nudge in doctor["last_nudges"]] == [503]
    assert doctor["pg_net"] is True
    assert doctor["settings"]["webhook_secret"] == "set"
    assert SECRET not in json.dumps(doctor)
