"""The Storage stand-in against storage3, and the raw routes that the functions use."""

import time
import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest
from storage3.exceptions import StorageApiError
from supabase import Client

from local.processes.stack import Stack
from memoria.errors import MediaForbidden, MediaUnavailable
from memoria.store.signed_urls import sign_url

PHOTO = b"\xff\xd8\xff\xe0 not quite a photo" * 100


@pytest.fixture
def client(stack: Stack) -> Client:
    return stack.client()


@pytest.fixture
def bucket(client: Client) -> str:
    name = f"photos-{uuid.uuid4()}"
    client.storage.create_bucket(name)
    return name


def signed_url(client: Client, bucket: str, path: str, seconds: int = 60) -> str:
    return str(client.storage.from_(bucket).create_signed_url(path, seconds)["signedURL"])


@pytest.mark.parametrize("path", ["IMG_1.jpg", "event 1/Eis & mehr (2), 'so'.jpg", "a/b/c/.hidden"])
def test_what_was_uploaded_comes_back_byte_for_byte(client: Client, bucket: str, path: str):
    client.storage.from_(bucket).upload(path, PHOTO, {"content-type": "image/jpeg"})
    assert client.storage.from_(bucket).download(path) == PHOTO
    answer = httpx.get(signed_url(client, bucket, path))
    assert (answer.content, answer.headers["content-type"]) == (PHOTO, "image/jpeg")


@pytest.mark.parametrize("path", ["Größe.jpg", "50%.jpg", "a#b.jpg", "a[1].jpg", "a\tb.jpg"])
def test_a_name_outside_its_characters_is_an_invalid_key(client: Client, bucket: str, path: str):
    for ask in (
        lambda: client.storage.from_(bucket).upload(path, PHOTO),
        lambda: signed_url(client, bucket, path),
    ):
        with pytest.raises(StorageApiError) as caught:
            ask()
        assert (caught.value.code, str(caught.value.status)) == ("InvalidKey", "400")
    with pytest.raises(MediaForbidden, match="InvalidKey"):
        sign_url(client, bucket, path, 60)


@pytest.fixture
def outage(stack: Stack) -> Iterator[Callable[[str], None]]:
    def begin(error: str) -> None:
        url = f"{stack.supabase_url}/storage/v1/_outage"
        httpx.put(url, json={"error": error}).raise_for_status()

    yield begin
    begin("")


@pytest.mark.parametrize(
    ("error", "answered"),
    [
        ("DatabaseSchemaMismatch", (400, "503")),
        ("DatabaseTimeout", (544, "544")),
        ("TooManyConnections", (429, "429")),
        ("InternalError", (500, "500")),
    ],
)
def test_an_outage_is_told_in_the_body_and_passes(
    client: Client,
    bucket: str,
    outage: Callable[[str], None],
    error: str,
    answered: tuple[int, str],
):
    client.storage.from_(bucket).upload("a.jpg", PHOTO)
    url = signed_url(client, bucket, "a.jpg")
    outage(error)
    answer = httpx.get(url)
    assert (answer.status_code, answer.json()["statusCode"]) == answered
    with pytest.raises(MediaUnavailable, match=answered[1]):
        sign_url(client, bucket, "a.jpg", 60)
    outage("")
    assert httpx.get(url).status_code == 200


def test_a_second_upload_is_a_duplicate_unless_it_says_upsert(client: Client, bucket: str):
    files = client.storage.from_(bucket)
    files.upload("a.jpg", b"one")
    with pytest.raises(StorageApiError) as caught:
        files.upload("a.jpg", b"two")
    assert (caught.value.code, str(caught.value.status)) == ("Duplicate", "409")
    files.upload("a.jpg", b"two", {"upsert": "true"})
    assert files.download("a.jpg") == b"two"


def test_a_signed_url_expires(client: Client, bucket: str):
    client.storage.from_(bucket).upload("a.jpg", PHOTO)
    url = signed_url(client, bucket, "a.jpg", seconds=1)
    deadline = time.monotonic() + 30
    while (answer := httpx.get(url)).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidJWT")
    assert "exp" in answer.json()["message"]


def test_a_signed_url_opens_nothing_but_its_own_object(client: Client, bucket: str):
    for name in ("a.jpg", "b.jpg"):
        client.storage.from_(bucket).upload(name, PHOTO)
    url = signed_url(client, bucket, "a.jpg")
    other = httpx.get(url.replace("/a.jpg?", "/b.jpg?"))
    forged = httpx.get(url[:-3] + "xyz")
    assert (other.status_code, other.json()["error"]) == (400, "InvalidSignature")
    assert (forged.status_code, forged.json()["error"]) == (400, "InvalidJWT")


def test_what_is_missing_is_400_outside_and_404_inside(client: Client, bucket: str):
    with pytest.raises(StorageApiError) as caught:
        signed_url(client, bucket, "nothing.jpg")
    assert (caught.value.code, str(caught.value.status)) == ("not_found", "404")
    client.storage.from_(bucket).upload("a.jpg", PHOTO)
    url = signed_url(client, bucket, "a.jpg")
    assert [item["name"] for item in client.storage.from_(bucket).remove(["a.jpg", "b"])] == [
        "a.jpg"
    ]
    answer = httpx.get(url)
    assert answer.status_code == 400
    assert answer.json()["statusCode"] == "404"


def test_a_bucket_must_exist_and_may_not_be_made_twice(client: Client, bucket: str):
    with pytest.raises(StorageApiError) as caught:
        client.storage.from_("elsewhere").upload("a.jpg", PHOTO)
    assert caught.value.message == "Bucket not found"
    with pytest.raises(StorageApiError) as caught:
        client.storage.create_bucket(bucket)
    assert caught.value.code == "Duplicate"


@pytest.mark.parametrize("name", ["..", ".", "a/b", ""])
def test_a_bucket_cannot_lead_outside(client: Client, name: str):
    with pytest.raises(StorageApiError) as caught:
        client.storage.create_bucket(name)
    assert caught.value.message == "Bucket name invalid"


def test_a_range_is_answered_with_that_part(client: Client, bucket: str):
    client.storage.from_(bucket).upload("a.jpg", PHOTO)
    url = signed_url(client, bucket, "a.jpg")
    part = httpx.get(url, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, PHOTO[2:6])


def test_without_a_policy_only_the_secret_key_gets_in(stack: Stack, client: Client, bucket: str):
    client.storage.from_(bucket).upload("a.jpg", PHOTO)
    with pytest.raises(StorageApiError) as caught:
        stack.client(stack.keys.publishable).storage.from_(bucket).download("a.jpg")
    assert str(caught.value.status) == "404"  # what one may not see is not there
    with pytest.raises(StorageApiError) as caught:
        stack.client(stack.keys.publishable).storage.from_(bucket).upload("b.jpg", PHOTO)
    assert str(caught.value.status) == "403"
    answer = httpx.get(f"{stack.supabase_url}/storage/v1/object/{bucket}/a.jpg")
    assert answer.status_code == 401


def test_only_a_public_bucket_is_open_to_everybody(stack: Stack, client: Client, bucket: str):
    public = f"{bucket}-public"
    client.storage.create_bucket(public, options={"public": True})
    for name in (bucket, public):
        client.storage.from_(name).upload("a.jpg", PHOTO)
    base = f"{stack.supabase_url}/storage/v1/object/public"
    assert httpx.get(f"{base}/{public}/a.jpg").content == PHOTO
    closed = httpx.get(f"{base}/{bucket}/a.jpg")
    assert (closed.status_code, closed.json()["statusCode"]) == (400, "404")
