"""The one way to the database, where there is none."""

import logging

import pytest

from local.processes.postgres import free_port
from memoria.config import Settings
from memoria.errors import StoreUnavailable
from memoria.store.client import open_client, rpc


def test_who_could_not_be_reached_stands_in_the_error_and_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    known = {"SUPABASE_URL": address, "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_local"}
    client = open_client(Settings.from_env(known | {"CALLBACK_URL": "off", "WEBHOOK_SECRET": "x"}))
    http = client.options.httpx_client
    assert http is not None
    with (
        http,
        caplog.at_level(logging.INFO, "memoria"),
        pytest.raises(StoreUnavailable, match=address),
    ):
        rpc(client, "memoria_status", {}, retries=0)
    (record,) = (r for r in caplog.records if r.message == "database_unreachable")
    assert vars(record)["facts"] == {"at": address, "error": "ConnectError"}
