"""Where a photo lies: what storage's refusals mean, as storage3 hands them on."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from supabase import Client, ClientOptions

from memoria.errors import MediaForbidden, MediaGone, MediaUnavailable, MemoriaError
from memoria.store.signed_urls import sign_url


class Storage:
    """A storage that gives one answer, behind the real client."""

    def __init__(self) -> None:
        self.answer = httpx.Response(200)
        self.http = httpx.Client(transport=httpx.MockTransport(lambda _: self.answer))
        self.client = Client("http://project.test", "k", ClientOptions(httpx_client=self.http))


@pytest.fixture
def storage() -> Iterator[Storage]:
    storage = Storage()
    yield storage
    storage.http.close()


def told(status: str, error: str, message: str = "x") -> dict[str, Any]:
    return {"json": {"statusCode": status, "error": error, "message": message}}


@pytest.mark.parametrize(
    ("status", "answer", "means"),
    [
        (400, told("404", "not_found", "Object not found"), MediaGone),
        (400, told("503", "DatabaseSchemaMismatch"), MediaUnavailable),
        (400, told("500", "internal"), MediaUnavailable),
        (400, told("429", "too_many_connections"), MediaUnavailable),
        (544, told("544", "DatabaseTimeout"), MediaUnavailable),
        (429, told("429", "TooManyRequests"), MediaUnavailable),
        (400, told("403", "Unauthorized"), MediaForbidden),
        (400, told("400", "InvalidKey", "Invalid key: ü"), MediaForbidden),
        (400, {"text": "<html>a proxy</html>"}, MediaUnavailable),
        (502, {"text": "<html>a proxy</html>"}, MediaUnavailable),
    ],
)
def test_the_status_in_the_body_is_the_true_one(
    storage: Storage, status: int, answer: dict[str, Any], means: type[MemoriaError]
) -> None:
    storage.answer = httpx.Response(status, **answer)
    with pytest.raises(means):
        sign_url(storage.client, "photos", "a.jpg", 60)


def test_a_name_that_storage_does_not_take_is_said_as_that(storage: Storage) -> None:
    storage.answer = httpx.Response(400, **told("400", "InvalidKey"))
    with pytest.raises(MediaForbidden, match="InvalidKey"):
        sign_url(storage.client, "photos", "ü.jpg", 60)
