"""The search functions, where there is no database."""

from collections.abc import Callable

import httpx
import numpy as np
import pytest
from supabase import Client, ClientOptions

from local.processes.postgres import free_port
from memoria.config import Settings
from memoria.errors import StoreUnavailable
from memoria.faces.types import Face
from memoria.search.database import SearchStore
from memoria.search.likeness import Rule
from memoria.search.request import Seeker
from memoria.search.selfie import Selfie
from memoria.store.client import open_client

RULE = Rule(shared=0.5, dimensions=60, demand=6, slope=1.3, belongs=0.4, source="a test")
VECTOR = np.eye(1, 512, dtype=np.float32)[0]
FACE = Face(VECTOR[:4], 0.9, 0.9, np.zeros((5, 2), np.float32), VECTOR)
SELFIE = Selfie(face=FACE, vector=VECTOR, weight=1.0, mean_length=1.0)


def test_a_stranger_with_a_made_up_token_is_not_told_where_the_database_is() -> None:
    known = {"SUPABASE_URL": f"http://127.0.0.1:{free_port()}", "CALLBACK_URL": "off"}
    secrets = {"SUPABASE_SERVICE_ROLE_KEY": "sb_secret_local", "WEBHOOK_SECRET": "x"}
    client = open_client(Settings.from_env(known | secrets))
    http = client.options.httpx_client
    assert http is not None
    with http, pytest.raises(StoreUnavailable) as told:
        SearchStore(client).begin(Seeker(token_hash="0" * 64, guest="g"), "1")
    assert told.value.message == "the database could not be reached"


Call = Callable[[SearchStore], object]


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.begin(Seeker(token_hash="0" * 64, guest="g"), "1"),
        lambda store: store.find("00000000-0000-4000-8000-000000000000", SELFIE, "mine", RULE),
    ],
    ids=["begin", "find"],
)
def test_a_search_whose_answer_was_lost_is_the_guests_to_make_again(call: Call) -> None:
    """A second call of either would be another one: it counts twice, or finds the search ended."""
    asked: list[str] = []

    def cut_off(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        raise httpx.ReadError("the connection was lost", request=request)

    with httpx.Client(transport=httpx.MockTransport(cut_off)) as http:
        client = Client("http://project.test", "k", ClientOptions(httpx_client=http))
        with pytest.raises(StoreUnavailable):
            call(SearchStore(client))
    assert len(asked) == 1
