import time
from pathlib import Path

import psycopg
import pytest

from local.processes.stack import Stack, StackOptions
from tests.chaos.pack import make_pack
from tests.chaos.photos import Photo
from tests.edge.conftest import SECRET, App
from tests.edge.deno import EdgeFunction

pytestmark = [pytest.mark.npm, pytest.mark.slow, pytest.mark.alone]

QUIET_SECONDS = 2

PHOTOS = [
    *(Photo("gala", number, seed=1, people=(1, 2)) for number in range(3)),
    Photo("gala", 3, seed=1, broken="noise"),
]


def test_what_the_functions_call_back_is_understood_and_told(
    edge_function: EdgeFunction, app: App, tmp_path: Path
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
        _wait_for(app)
        waited = _seconds_to_people(stack)
    told = {outcome["media_id"]: outcome for outcome in app.outcomes if "media_id" in outcome}
    assert [told[photo.media_id].get("error", {}).get("code") for photo in PHOTOS] == [
        *([None] * 3),
        "unreadable_media",
    ]
    assert told["gala-0000"]["faces_detected"] == 2
    [people] = [outcome for outcome in app.outcomes if "clusters" in outcome]
    assert (people["clusters_created"], people["pending"], people["complete"]) == (2, 0, True)
    assert people["photos"] == {
        "total": 4, "pending": 0, "completed": 3, "failed": 1, "waiting": 0,
    }  # fmt: skip
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


def _wait_for(app: App, seconds: float = 90) -> None:
    """Until the people came after all photos."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        photos = [outcome for outcome in app.outcomes if "media_id" in outcome]
        if len(photos) >= len(PHOTOS) and "clusters" in app.outcomes[-1]:
            return
        time.sleep(0.1)
