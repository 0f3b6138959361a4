import time
from pathlib import Path
from typing import Any

import pytest

from local.processes.stack import Stack, StackOptions
from tests.chaos.pack import make_pack
from tests.chaos.photos import Photo
from tests.edge.conftest import SECRET, Realtime
from tests.edge.deno import EdgeFunction

pytestmark = [pytest.mark.npm, pytest.mark.slow]

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
    options = StackOptions(environ=environ, settings={"quiet_period_seconds": 0.1}, sweep_seconds=1)
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
    told = {m["payload"]["media_id"]: m["payload"] for m in messages if m["event"] == "photo"}
    assert [told[photo.media_id].get("error_code") for photo in PHOTOS] == [
        *([None] * 3),
        "unreadable_media",
    ]
    assert told["gala-0000"]["faces_detected"] == 2
    assert [m["payload"]["people"] for m in messages if m["event"] == "people"][-1] == 2


def _wait_for(realtime: Realtime, event: str, seconds: float = 90) -> list[dict[str, Any]]:
    """Every message, once the event came after all photos."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        events = [message["event"] for message in realtime.messages]
        if events.count("photo") >= len(PHOTOS) and event in events[-1:]:
            break
        time.sleep(0.1)
    return realtime.messages
