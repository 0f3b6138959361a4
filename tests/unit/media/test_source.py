import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memoria.errors import MediaForbidden, MediaGone, MediaTooLarge, MediaUnavailable
from memoria.media.hosts import AllowedHosts
from memoria.media.source import MAX_REDIRECTS, MediaSource
from tests.security.media_host import (
    MediaHost,
    body,
    certificate,
    raw,
    redirect,
    serving,
    status,
)

PHOTO = bytes(range(256)) * 40


@pytest.fixture
def host() -> Iterator[MediaHost]:
    with serving() as running:
        running.answers["/photo"] = body(PHOTO)
        yield running


def source(
    host: MediaHost, *, max_bytes: int = 100_000, timeout_seconds: float = 20
) -> MediaSource:
    return MediaSource(
        allowed=AllowedHosts(host.origin), max_bytes=max_bytes, timeout_seconds=timeout_seconds
    )


def test_a_photo_comes_back_byte_for_byte(host: MediaHost) -> None:
    assert source(host).fetch(f"{host.origin}/photo?token=abc") == PHOTO
    assert host.asked == [("/photo?token=abc", f"127.0.0.1:{host.port}")]


def test_an_empty_file_is_the_decoders_business(host: MediaHost) -> None:
    host.answers["/empty"] = body(b"")
    assert source(host).fetch(f"{host.origin}/empty") == b""


def test_a_chunked_body_is_put_together(host: MediaHost) -> None:
    host.answers["/chunks"] = raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    )
    assert source(host).fetch(f"{host.origin}/chunks") == b"abcde"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_to_an_allowed_place_is_followed(host: MediaHost, code: int) -> None:
    host.answers["/old"] = redirect("/photo", code)
    assert source(host).fetch(f"{host.origin}/old") == PHOTO


def test_redirects_end_somewhere(host: MediaHost) -> None:
    host.answers["/loop"] = redirect("/loop")
    with pytest.raises(MediaForbidden, match="redirects"):
        source(host).fetch(f"{host.origin}/loop")
    assert len(host.asked) == MAX_REDIRECTS + 1


def test_a_redirect_without_a_place_is_the_hosts_trouble(host: MediaHost) -> None:
    host.answers["/nowhere"] = status(302)
    with pytest.raises(MediaUnavailable, match="nowhere"):
        source(host).fetch(f"{host.origin}/nowhere")


@pytest.mark.parametrize("code", [400, 401, 403, 405, 451])
def test_an_expired_or_closed_link_is_forbidden(host: MediaHost, code: int) -> None:
    host.answers["/closed"] = status(code, b'{"statusCode":"400","error":"InvalidJWT"}')
    with pytest.raises(MediaForbidden, match=f"HTTP {code}"):
        source(host).fetch(f"{host.origin}/closed")


@pytest.mark.parametrize("code", [404, 410])
def test_a_missing_file_is_gone(host: MediaHost, code: int) -> None:
    host.answers["/missing"] = status(code)
    with pytest.raises(MediaGone, match=f"HTTP {code}"):
        source(host).fetch(f"{host.origin}/missing")


def test_supabase_says_404_in_the_body_of_a_400(host: MediaHost) -> None:
    host.answers["/missing"] = status(400, b'{"statusCode":"404","error":"not_found"}')
    with pytest.raises(MediaGone):
        source(host).fetch(f"{host.origin}/missing")


@pytest.mark.parametrize("meant", [429, 500, 503, 544])
def test_supabase_says_an_outage_in_the_body_of_a_400(host: MediaHost, meant: int) -> None:
    host.answers["/busy"] = status(400, b'{"statusCode":"%d","error":"Trouble"}' % meant)
    with pytest.raises(MediaUnavailable, match=str(meant)):
        source(host).fetch(f"{host.origin}/busy")


@pytest.mark.parametrize(
    "page",
    [b"<html>", b"[404]", b"[" * 4000, b'{"statusCode": 404' + b" " * 9000 + b"}"],
    ids=["page", "list", "depth", "length"],
)
def test_a_400_with_any_other_body_is_forbidden(host: MediaHost, page: bytes) -> None:
    host.answers["/closed"] = status(400, page)
    with pytest.raises(MediaForbidden):
        source(host).fetch(f"{host.origin}/closed")


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 410])
@pytest.mark.parametrize(
    "page",
    [
        b"404 page not found\n",
        b'{"message":"no Route matched with those values"}',
        b'{"statusCode":404,"error":"Not Found","message":"a framework\'s own"}',
        b'{"statusCode":"400","error":"TenantNotFound","message":"Missing tenant config"}',
        b"<html>" + b"x" * 9000,
    ],
    ids=["text", "gateway", "framework", "no tenant", "long"],
)
def test_what_answers_in_the_place_of_storage_says_nothing_of_a_photo(
    host: MediaHost, code: int, page: bytes
) -> None:
    path = "/storage/v1/object/sign/photos/a.jpg"
    host.answers[path] = status(code, page)
    with pytest.raises(MediaUnavailable, match=f"HTTP {code}, but not as storage does"):
        source(host).fetch(f"{host.origin}{path}?token=abc")


@pytest.mark.parametrize("code", [400, 404])
@pytest.mark.parametrize(
    ("meant", "error"),
    [(404, MediaGone), (400, MediaForbidden), (403, MediaForbidden), (503, MediaUnavailable)],
)
def test_storage_itself_is_believed(
    host: MediaHost, code: int, meant: int, error: type[Exception]
) -> None:
    path = "/storage/v1/object/sign/photos/a.jpg"
    host.answers[path] = status(code, b'{"statusCode":"%d","error":"x","message":"x"}' % meant)
    with pytest.raises(error, match=f"HTTP {meant}"):
        source(host).fetch(f"{host.origin}{path}?token=abc")


@pytest.mark.parametrize("code", [204, 206, 300, 304, 402, 408, 425, 429, 500, 502, 503, 504, 520])
def test_an_answer_that_may_change_is_tried_again_later(host: MediaHost, code: int) -> None:
    host.answers["/busy"] = status(code)
    with pytest.raises(MediaUnavailable):
        source(host).fetch(f"{host.origin}/busy")


def test_a_declared_length_over_the_limit_is_refused_before_the_body(host: MediaHost) -> None:
    host.answers["/huge"] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", pause=60)
    start = time.monotonic()
    with pytest.raises(MediaTooLarge, match="100000 bytes"):
        source(host).fetch(f"{host.origin}/huge")
    assert time.monotonic() - start < 10


def test_a_body_over_the_limit_is_cut_off_whatever_was_declared(host: MediaHost) -> None:
    host.answers["/endless"] = raw(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 50_000] * 100)
    with pytest.raises(MediaTooLarge):
        source(host).fetch(f"{host.origin}/endless")


def test_a_file_of_exactly_the_limit_is_taken(host: MediaHost) -> None:
    assert source(host, max_bytes=len(PHOTO)).fetch(f"{host.origin}/photo") == PHOTO
    with pytest.raises(MediaTooLarge):
        source(host, max_bytes=len(PHOTO) - 1).fetch(f"{host.origin}/photo")


def test_a_body_that_breaks_off_is_tried_again_later(host: MediaHost) -> None:
    host.answers["/short"] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nabc")
    with pytest.raises(MediaUnavailable, match="broke off"):
        source(host).fetch(f"{host.origin}/short")


@pytest.mark.parametrize("noise", [b"", b"\x00\x01garbage", b"HTTP/1.1 abc\r\n\r\n"])
def test_an_answer_that_is_no_http_is_tried_again_later(host: MediaHost, noise: bytes) -> None:
    host.answers["/noise"] = raw(noise)
    with pytest.raises(MediaUnavailable):
        source(host).fetch(f"{host.origin}/noise")


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", *[b"x"] * 500],
        [b"HTTP/1.1 200 OK\r\n", *[b"X-A: b\r\n"] * 500],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"1\r\nx\r\n"] * 500],
        [b"HTTP/1.1 302 Found\r\nContent-Length: 500\r\n", *[b"L"] * 500],
        [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 500\r\n\r\n", *[b"x"] * 500],
        [b"HTTP/1.1 404 Not Found\r\nContent-Length: 500\r\n\r\n", *[b"x"] * 500],
    ],
    ids=["body", "headers", "chunks", "redirect", "error page", "storage's 404"],
)
def test_a_sender_of_one_byte_at_a_time_meets_the_deadline(
    host: MediaHost, pieces: list[bytes]
) -> None:
    path = "/storage/v1/object/sign/photos/a.jpg"
    host.answers[path] = raw(*pieces, pause=0.05)
    start = time.monotonic()
    with pytest.raises(MediaUnavailable, match=r"no complete answer within 0\.4 s"):
        source(host, timeout_seconds=0.4).fetch(f"{host.origin}{path}")
    assert time.monotonic() - start < 10  # all of it takes 25


def test_redirects_share_one_deadline(host: MediaHost) -> None:
    for step in range(5):
        host.answers[f"/{step}"] = raw(
            f"HTTP/1.1 302 Found\r\nLocation: /{step + 1}\r\n".encode(),
            b"Content-Length: 0\r\n\r\n",
            pause=0.2,
        )
    with pytest.raises(MediaUnavailable, match="no complete answer"):
        source(host, timeout_seconds=0.5).fetch(f"{host.origin}/0")


def test_a_host_that_accepts_and_never_answers_meets_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        fetcher = MediaSource(allowed=AllowedHosts(origin), max_bytes=10, timeout_seconds=0.3)
        with pytest.raises(MediaUnavailable, match="no complete answer"):
            fetcher.fetch(f"{origin}/photo")


def test_a_tls_handshake_that_never_ends_meets_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"https://127.0.0.1:{listener.getsockname()[1]}"
        fetcher = MediaSource(allowed=AllowedHosts(origin), max_bytes=10, timeout_seconds=0.3)
        with pytest.raises(MediaUnavailable):
            fetcher.fetch(f"{origin}/photo")


def test_a_name_server_that_never_answers_meets_the_deadline() -> None:
    ended = threading.Event()

    def silent(name: str, port: int) -> list[str]:
        ended.wait(60)
        return ["127.0.0.1"]

    allowed = AllowedHosts("http://media.test:1", resolver=silent)
    fetcher = MediaSource(allowed=allowed, max_bytes=10, timeout_seconds=0.2)
    start = time.monotonic()
    with pytest.raises(MediaUnavailable, match="no complete answer"):
        fetcher.fetch("http://media.test:1/photo")
    assert time.monotonic() - start < 10
    ended.set()


def test_a_closed_port_is_tried_again_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    fetcher = MediaSource(allowed=AllowedHosts(origin), max_bytes=10, timeout_seconds=2)
    with pytest.raises(MediaUnavailable, match="no connection"):
        fetcher.fetch(f"{origin}/photo")


def test_a_second_address_is_tried_when_the_first_is_dead(host: MediaHost) -> None:
    name = f"http://media.test:{host.port}"
    allowed = AllowedHosts(name, resolver=lambda *_: ["127.0.0.2", "127.0.0.1"])
    fetcher = MediaSource(allowed=allowed, max_bytes=100_000, timeout_seconds=5)
    assert fetcher.fetch(f"{name}/photo") == PHOTO


def test_tls_is_checked_for_the_name_while_the_address_is_pinned(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, "media.test")
    with serving(server) as host:
        host.answers["/photo"] = body(PHOTO)
        name = f"https://media.test:{host.port}"
        allowed = AllowedHosts(name, resolver=lambda *_: ["127.0.0.1"])
        fetcher = MediaSource(
            allowed=allowed, max_bytes=100_000, timeout_seconds=5, ssl_context=client
        )
        assert fetcher.fetch(f"{name}/photo") == PHOTO
        assert host.asked == [("/photo", f"media.test:{host.port}")]


def test_a_certificate_for_another_name_is_not_accepted(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, "other.test")
    with serving(server) as host:
        name = f"https://media.test:{host.port}"
        allowed = AllowedHosts(name, resolver=lambda *_: ["127.0.0.1"])
        fetcher = MediaSource(allowed=allowed, max_bytes=10, timeout_seconds=5, ssl_context=client)
        with pytest.raises(MediaUnavailable, match="TLS"):
            fetcher.fetch(f"{name}/photo")
        assert host.asked == []


def test_no_message_carries_the_query(host: MediaHost) -> None:
    host.answers |= {
        "/closed": status(403),
        "/missing": status(404),
        "/busy": status(503),
        "/huge": body(b"x" * 200_000),
        "/short": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nabc"),
        "/away": redirect("https://evil.example/?token=SECRET"),
    }
    urls = [f"{host.origin}{path}?token=SECRET" for path in host.answers if path != "/photo"]
    urls += ["https://evil.example/a?token=SECRET", "gopher://x/?token=SECRET", "??token=SECRET"]
    for url in urls:
        with pytest.raises((MediaForbidden, MediaGone, MediaTooLarge, MediaUnavailable)) as caught:
            source(host).fetch(url)
        assert "SECRET" not in str(caught.value), url
        assert "/closed" not in str(caught.value), url
