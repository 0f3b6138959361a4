import gc
import socket
import time
from collections.abc import Iterator

import pytest
from gcp_storage_emulator.server import create_server
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from memoria.errors import MediaForbidden, MediaGone, MediaTooLarge, MediaUnavailable
from memoria.media import gcs
from memoria.media.gcs import fetch_object
from tests.security.media_host import MediaHost, raw, serving, status

# google-cloud-storage leaves the sockets of refused and abandoned downloads to the collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PHOTO = bytes(range(256)) * 400


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="photos")
    server.start()
    try:
        origin = f"http://127.0.0.1:{port}"
        client = storage.Client(
            project="test",
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=origin),
        )
        client.bucket("photos").blob("event 1/ä.jpg").upload_from_string(PHOTO)
        yield origin
        client.close()
    finally:
        server.stop()


@pytest.fixture
def store(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from _use(emulator, monkeypatch)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[MediaHost]:
    with serving() as running:
        for _ in _use(running.origin, monkeypatch):
            yield running


def _use(origin: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", origin)
    gcs._client.cache_clear()
    yield
    if gcs._client.cache_info().currsize:
        gcs._client().close()
    gcs._client.cache_clear()
    gc.collect()  # here, where what it finds is no surprise


def fetch(path: str, *, max_bytes: int = 1_000_000, timeout_seconds: float = 20) -> bytes:
    return fetch_object("photos", path, max_bytes=max_bytes, timeout_seconds=timeout_seconds)


def test_an_object_comes_back_byte_for_byte(store: None) -> None:
    assert fetch("event 1/ä.jpg") == PHOTO
    assert fetch("event 1/ä.jpg", max_bytes=len(PHOTO)) == PHOTO


def test_a_missing_object_or_bucket_is_gone(store: None) -> None:
    with pytest.raises(MediaGone, match="404"):
        fetch("event 1/other.jpg")
    with pytest.raises(MediaGone):
        fetch_object("elsewhere", "a.jpg", max_bytes=10, timeout_seconds=5)


def test_an_object_over_the_limit_is_cut_off(store: None) -> None:
    with pytest.raises(MediaTooLarge, match="1000 bytes"):
        fetch("event 1/ä.jpg", max_bytes=1000)


@pytest.mark.parametrize(
    ("code", "error"),
    [(400, MediaForbidden), (403, MediaForbidden), (410, MediaGone)],
)
def test_an_answer_without_access_is_final(
    host: MediaHost, code: int, error: type[Exception]
) -> None:
    host.answers["/download/storage/v1/b/photos/o/a.jpg"] = status(code)
    with pytest.raises(error, match=str(code)):
        fetch("a.jpg")


@pytest.mark.parametrize("code", [429, 500, 503])
def test_an_answer_that_may_change_is_tried_again_later(host: MediaHost, code: int) -> None:
    host.answers["/download/storage/v1/b/photos/o/a.jpg"] = status(code)
    with pytest.raises(MediaUnavailable):
        fetch("a.jpg", timeout_seconds=0.5)


def test_a_sender_of_one_byte_at_a_time_meets_the_deadline(host: MediaHost) -> None:
    host.answers["/download/storage/v1/b/photos/o/a.jpg"] = raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", *[b"x"] * 500, pause=0.05
    )
    start = time.monotonic()
    with pytest.raises(MediaUnavailable, match=r"0\.4 s"):
        fetch("a.jpg", timeout_seconds=0.4)
    assert time.monotonic() - start < 10  # all of it takes 25


def test_a_storage_that_is_not_there_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        origin = f"http://127.0.0.1:{probe.getsockname()[1]}"
    for _ in _use(origin, monkeypatch):
        with pytest.raises(MediaUnavailable):
            fetch("a.jpg", timeout_seconds=0.5)


def test_a_client_without_a_project_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object, **__: object) -> None:
        raise OSError("Project was not passed and could not be determined from the environment.")

    monkeypatch.setattr("google.cloud.storage.Client", nowhere)
    gcs._client.cache_clear()
    with pytest.raises(MediaUnavailable, match="set GOOGLE_CLOUD_PROJECT"):
        gcs.fetch_object("b", "p", max_bytes=9, timeout_seconds=5)
