"""The one way to the database, where there is none."""

import logging
from collections.abc import Callable

import httpx
import pytest
from supabase import Client, ClientOptions

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


def broken(request: httpx.Request) -> httpx.Response:
    raise httpx.DecodingError("incorrect header check", request=request)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: httpx.Response(200, text="<html>sign in to the network</html>"),
        lambda _: httpx.Response(200),
        lambda _: httpx.Response(301, headers={"Location": "https://elsewhere.test"}),
        lambda _: httpx.Response(404, text="404 page not found"),
        broken,
    ],
    ids=["page", "nothing", "redirect", "proxy", "packed"],
)
def test_what_is_no_answer_of_the_database_is_an_outage(
    answer: Callable[[httpx.Request], httpx.Response],
) -> None:
    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        client = Client("http://project.test", "k", ClientOptions(httpx_client=http))
        with pytest.raises(StoreUnavailable):
            rpc(client, "memoria_status", {}, retries=0)
