import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.processes.stack import Stack, StackOptions
from tests.chaos.pack import make_pack
from tests.chaos.photos import Photo
from tests.edge.conftest import SECRET, Realtime
from tests.edge.deno import EdgeFunction

pytestmark = [pytest.mark.npm, pytest.mark.slow, pytest.mark.alone]

QUIET_SECONDS = 2

PHOTOS = [
    *(Photo("gala", number, seed=1, people=(1, 2)) for number in range(3)),
    Photo("gala", 3, seed=1, broken="noise"),
]


def test_what_the_functions_call_back_is_understood_and_told(
    edge_function: EdgeFunction, realtime: Realtime, tmp_path: Path
) -> None:
    environ = {
        "CALLBACK_URL": f"{edge_function.url}/ml-callback",
        "CALLBACK_SECRET": SECRET,
        "MODEL_DIR": str(make_pack(tmp_path / "tiny")),
    }
    options = StackOptions(
        environ=environ,
        settings={"quiet_period_seconds": QUIET_SECONDS},
        without=frozenset({"cron"}),
    )
    with Stack(options) as stack:
        client = stack.client()
        client.storage.create_bucket("photos")
        for photo in PHOTOS:
            client.storage.from_("photos").upload(photo.path, photo.data() or b"")
            client.rpc(
                "memoria_enqueue",
                {"p_media_id": photo.media_id, "p_event_id": "gala", "p_bucket": "photos",
                 "p_path": photo.path},
            ).execute()  # fmt: skip
        messages = _wait_for(realtime, "people")
        waited = _seconds_to_people(stack)
    told = {m["payload"]["media_id"]: m["payload"] for m in messages if m["event"] == "photo"}
    assert [told[photo.media_id].get("error_code") for photo in PHOTOS] == [
        *([None] * 3),
        "unreadable_media",
    ]
    assert told["gala-0000"]["faces_detected"] == 2
    [people] = [m["payload"] for m in messages if m["event"] == "people"]
    assert (people["people"], people["pending"], people["complete"]) == (2, 0, True)
    assert QUIET_SECONDS <= waited <= QUIET_SECONDS + 3  # workers see to it: there is no cron


def _seconds_to_people(stack: Stack) -> float:
    """From the last photo's end."""
    query = (
        "select extract(epoch from clustered_at - (select max(completed_at) from memoria.media))"
        " from memoria.events"
    )
    with psycopg.connect(stack.database_url) as connection:
        [(seconds,)] = connection.execute(query).fetchall()
    return float(seconds)


def _wait_for(realtime: Realtime, event: str, seconds: float = 90) -> list[dict[str, Any]]:
    """Every message, once the event came after all photos."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        events = [message["event"] for message in realtime.messages]
        if events.count("photo") >= len(PHOTOS) and event in events[-1:]:
            break
        time.sleep(0.1)
    return realtime.messages
