"""Where a photo lies: what storage's refusals mean, as storage3 hands them on."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from supabase import Client, ClientOptions

from memoria.errors import MediaForbidden, MediaGone, MediaUnavailable, MemoriaError
from memoria.store.signed_urls import sign_url, sign_urls


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
        (400, told("404", "Bucket not found", "Bucket not found"), MediaGone),
        (404, told("404", "not_found", "Object not found"), MediaGone),
        (500, told("500", "InternalError", "tenant config not found"), MediaUnavailable),
        (400, told("500", "internal", "tenant config not found"), MediaUnavailable),
        (400, told("400", "TenantNotFound", "Missing tenant config"), MediaUnavailable),
        (400, {"text": "<html>a proxy</html>"}, MediaUnavailable),
        (403, {"text": "<html>a firewall</html>"}, MediaUnavailable),
        (404, {"text": "404 page not found\n"}, MediaUnavailable),
        (404, {"json": {"message": "no Route matched with those values"}}, MediaUnavailable),
        (
            404,
            {"json": {"statusCode": 404, "error": "Not Found", "message": "x"}},
            MediaUnavailable,
        ),
        (503, {"text": "upstream host not found"}, MediaUnavailable),
        (530, {"text": "The requested host was not found"}, MediaUnavailable),
        (200, {"text": "<html>sign in to the network</html>"}, MediaUnavailable),
        (200, {"json": {"signedURL": None}}, MediaUnavailable),
        (301, {"headers": {"Location": "https://elsewhere.test"}}, MediaUnavailable),
        (502, {"text": "<html>a proxy</html>"}, MediaUnavailable),
    ],
)
def test_the_status_in_the_body_is_the_true_one(
    storage: Storage, status: int, answer: dict[str, Any], means: type[MemoriaError]
) -> None:
    storage.answer = httpx.Response(status, **answer)
    with pytest.raises(means):
        sign_url(storage.client, "photos", "a.jpg", 60)


def test_who_reads_the_error_is_told_that_it_was_not_storage(storage: Storage) -> None:
    storage.answer = httpx.Response(404, text="404 page not found\n")
    with pytest.raises(MediaUnavailable, match="not storage that answered 404"):
        sign_url(storage.client, "photos", "a.jpg", 60)


def test_a_name_that_storage_does_not_take_is_said_as_that(storage: Storage) -> None:
    storage.answer = httpx.Response(400, **told("400", "InvalidKey"))
    with pytest.raises(MediaForbidden, match="InvalidKey"):
        sign_url(storage.client, "photos", "ü.jpg", 60)


@pytest.mark.parametrize("path", ["../a.jpg", "a/./b.jpg"])
def test_a_folder_that_storage_cannot_have_is_said_and_not_asked_for(
    storage: Storage, path: str
) -> None:
    with pytest.raises(MediaForbidden, match="folder"):
        sign_url(storage.client, "photos", path, 60)


def test_an_answer_that_cannot_be_unpacked_is_no_answer(storage: Storage) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.DecodingError("incorrect header check", request=request)

    storage.http = httpx.Client(transport=httpx.MockTransport(broken))
    storage.client = Client("http://project.test", "k", ClientOptions(httpx_client=storage.http))
    with pytest.raises(MediaUnavailable, match="DecodingError"):
        sign_url(storage.client, "photos", "a.jpg", 60)


@pytest.mark.parametrize("answer", [{"text": "<html>"}, {"json": [{"path": "a.jpg"}]}])
def test_photos_of_a_search_come_without_urls_where_storage_talks_nonsense(
    storage: Storage, answer: dict[str, Any]
) -> None:
    storage.answer = httpx.Response(200, **answer)
    assert sign_urls(storage.client, "photos", ["a.jpg", "b.jpg"], 60) == [None, None]
