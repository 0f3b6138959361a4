"""Many guests at once on one link: the real function and database, an engine that costs nothing."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from local.processes.stack import Stack, StackOptions
from tests.functions.party import ONE_VECTOR, bare_event, bare_face, jpeg, sql

GUESTS, REQUESTS, SEARCHES = 200, 700, 500
AT_ONCE = 64  # eight times as many as the function answers at once; the next follow at once
PICTURE = jpeg(np.full((120, 120, 3), 127, np.uint8))


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    options = StackOptions(
        process_source=Path(__file__).parent / "without_looking.py",
        environ={"SEARCH": "only", "MODEL_DIR": "/nowhere"},
        without=frozenset({"pg_net", "cron", "cluster"}),
    )
    with Stack(options) as stack:
        yield stack


def asked(stack: Stack, token: str) -> list[httpx.Response]:
    # no connection twice: the server may end one that waits just when it is used again
    limits = httpx.Limits(max_keepalive_connections=0)
    with (
        httpx.Client(limits=limits, timeout=300, trust_env=False) as client,
        ThreadPoolExecutor(AT_ONCE) as threads,
    ):
        return list(
            threads.map(
                lambda number: client.post(
                    f"{stack.process_url}/search",
                    data={"consent": "1", "guest": f"guest {number % GUESTS}"},
                    files={"image": PICTURE},
                    headers={"Authorization": f"Search {token}"},
                ),
                range(REQUESTS),
            )
        )


def test_a_link_with_500_searches_answers_500_of_700(stack: Stack) -> None:
    event = bare_event(stack, grouped=True)
    photo = bare_face(stack, event, vector=ONE_VECTOR)
    made: Any = (
        stack.client()
        .rpc(
            "memoria_create_search_link",
            {"p_event_id": event, "p_options": {"max_searches": SEARCHES}},
        )
        .execute()
        .data
    )
    answers = asked(stack, made["token"])
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {200: SEARCHES, 429: REQUESTS - SEARCHES}
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    shown = {
        photo["media_id"]
        for answer in answers
        if answer.is_success
        for match in answer.json()["matches"]
        for photo in match["photos"]
    }
    assert shown == {photo}
    counted = sql(
        stack,
        "select searches, (select count(*) from memoria.searches where outcome = 'found')"
        " from memoria.search_links where token_hash = %s",
        hashlib.sha256(made["token"].encode()).digest(),
    )
    assert counted == [(SEARCHES, SEARCHES)]
