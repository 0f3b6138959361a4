"""The search functions, where there is no database."""

import pytest

from local.processes.postgres import free_port
from memoria.config import Settings
from memoria.errors import StoreUnavailable
from memoria.search.database import SearchStore
from memoria.search.request import Seeker
from memoria.store.client import open_client


def test_a_stranger_with_a_made_up_token_is_not_told_where_the_database_is() -> None:
    known = {"SUPABASE_URL": f"http://127.0.0.1:{free_port()}", "CALLBACK_URL": "off"}
    secrets = {"SUPABASE_SERVICE_ROLE_KEY": "sb_secret_local", "WEBHOOK_SECRET": "x"}
    client = open_client(Settings.from_env(known | secrets))
    http = client.options.httpx_client
    assert http is not None
    with http, pytest.raises(StoreUnavailable) as told:
        SearchStore(client).begin(Seeker(token_hash="0" * 64, guest="g"), "1")
    assert told.value.message == "the database could not be reached"
