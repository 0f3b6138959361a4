"""A claim's lease is extended while its work runs, but not for ever."""

import time
from contextlib import suppress
from queue import Empty, Queue

import httpx
from supabase import Client, ClientOptions

from memoria.store.jobs import Claim, JobStore

MOST_SECONDS = 1.0
CLAIM = Claim("job", "token", "party", "m1", "photos", "m1.jpg", 1, 0.3, None, {})


def test_a_run_that_takes_too_long_is_kept_no_longer() -> None:
    beats: Queue[float] = Queue()

    def held(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/rest/v1/rpc/memoria_heartbeat"
        beats.put(time.monotonic())
        return httpx.Response(200, json={"held": True})

    http = httpx.Client(transport=httpx.MockTransport(held))
    store = JobStore(
        Client("http://project.test", "k", ClientOptions(httpx_client=http)), MOST_SECONDS
    )
    began = last = time.monotonic()
    with store.kept(CLAIM), suppress(Empty):
        while last < began + 10 * MOST_SECONDS:
            last = beats.get(timeout=MOST_SECONDS)
    assert began < last < began + 5 * MOST_SECONDS
