"""A receiver of callbacks that misbehaves, on a real socket."""

import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from memoria.posting import NotAnswered, post_for_status

Behaviour = Callable[[socket.socket], None]


@contextmanager
def receiver(behave: Behaviour) -> Iterator[str]:
    """The URL of a server that takes one request and then does what it likes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                client, _ = server.accept()
                with client, suppress(OSError):
                    client.recv(65536)
                    behave(client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/callback"
        thread.join(5)


def post(url: str, seconds: float = 20) -> int:
    context = httpx.create_ssl_context()
    return post_for_status(url, b"{}", {"a": "b"}, seconds=seconds, context=context)


def head(status: str, rest: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status}\r\n".encode() + rest


@pytest.mark.parametrize(
    ("status", "number"),
    [("200 OK", 200), ("204 No Content", 204), ("307 Elsewhere", 307), ("500 No", 500)],
)
def test_the_status_is_the_answer(status: str, number: int) -> None:
    answer = head(status, b"Location: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    with receiver(lambda client: client.sendall(answer)) as url:
        assert post(url) == number


def drip(client: socket.socket) -> None:
    for byte in head("200 OK", b"x: " + b"y" * 1000):
        client.sendall(bytes([byte]))
        time.sleep(0.05)


def test_a_drip_does_not_outlast_the_deadline() -> None:
    started = time.monotonic()
    with receiver(drip) as url, pytest.raises(NotAnswered, match="within 1 s"):
        post(url, seconds=1)
    assert time.monotonic() - started < 20  # all of it takes 50


def flood(client: socket.socket) -> None:
    client.sendall(head("200 OK", b"Transfer-Encoding: chunked\r\n\r\n"))
    while True:
        client.sendall(b"100000\r\n" + bytes(1 << 20) + b"\r\n")


def test_a_flood_costs_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with receiver(flood) as url:
        assert post(url) == 200
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


@pytest.mark.parametrize("answer", [b"", b"hello\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n"])
def test_what_is_no_answer_is_told(answer: bytes) -> None:
    with receiver(lambda client: client.sendall(answer)) as url, pytest.raises(NotAnswered):
        post(url)


def test_nobody_there_is_told() -> None:
    with pytest.raises(NotAnswered, match="ConnectError"):
        post("http://127.0.0.1:1/")


def test_a_name_that_cannot_be_spelled_is_not_answered() -> None:
    with pytest.raises(NotAnswered, match="UnicodeError"):
        post("https://a..example/callback")
