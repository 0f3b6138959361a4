"""A photo that lives in Google Cloud Storage goes the same way: enqueue, nudge, faces, people."""

import gc
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from gcp_storage_emulator.server import create_server
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from local.demo.event import event_status
from local.demo.sample_event import group_photo
from local.processes.postgres import free_port
from local.processes.stack import Stack, StackOptions

# google-cloud-storage leaves its sockets to the collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def emulator() -> Iterator[str]:
    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="guests")
    server.start()
    origin = f"http://127.0.0.1:{port}"
    client = storage.Client(
        project="test",
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=origin),
    )
    client.bucket("guests").blob("party/group photo.jpg").upload_from_filename(str(group_photo()))
    yield origin
    client.close()
    server.stop()
    gc.collect()  # here, where what it finds is no surprise


@pytest.mark.slow
def test_a_photo_in_a_bucket_is_read_and_a_missing_one_fails_with_its_reason(
    emulator: str, pack: Path
):
    environ = {"MODEL_DIR": str(pack), "STORAGE_EMULATOR_HOST": emulator}
    options = StackOptions(environ=environ, settings={"quiet_period_seconds": 0}, sweep_seconds=1)
    with Stack(options) as stack:
        client = stack.client()
        for media_id, path in (("here", "party/group photo.jpg"), ("gone", "party/nothing.jpg")):
            ids = {"p_media_id": media_id, "p_event_id": "party"}
            place = {"p_bucket": "gs://guests", "p_path": path}
            client.rpc("memoria_enqueue", ids | place).execute()
        with psycopg.connect(stack.database_url) as connection:
            # a young photo may still be uploaded: this one has lain there for longer
            connection.execute(
                "update memoria.media set placed_at = now() - interval '11 minutes'"
                " where id = 'gone'"
            )
        deadline = time.monotonic() + 60
        while not (status := event_status(client, "party"))["done"]:
            assert time.monotonic() < deadline, status
            time.sleep(0.2)
        assert status["faces"] == 6
        (failure,) = status["failures"]
        assert (failure["media_id"], failure["code"]) == ("gone", "media_gone")
        # every outcome was delivered, signed, to the app
        while len(deliveries := stack.deliveries()) < 3:
            assert time.monotonic() < deadline, deliveries
            time.sleep(0.2)
        assert all("webhook-signature" in delivery["headers"] for delivery in deliveries)
