"""Clients that hold on to what they have, more of them than there are threads: nobody waits."""

import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from memoria.gunicorn_worker import TURN_SECONDS
from tests.security.long_answers import LONG
from tests.security.served import (
    THREADS,
    connect,
    healthy,
    request,
    served,
    signature,
    status,
    wait_healthy,
)

SOON = 3.0  # what was wrong took 10 seconds and more


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served() as port:
        yield port


@pytest.fixture(scope="module")
def long_port() -> Iterator[int]:
    with served("tests.security.long_answers:app") as port:
        yield port


@pytest.fixture
def clients(port: int) -> Iterator[Callable[..., list[socket.socket]]]:
    """Many connections that send the same and stay open."""
    with ExitStack() as stack:

        def many(data: bytes, count: int = 4 * THREADS) -> list[socket.socket]:
            opened = [stack.enter_context(connect(port)) for _ in range(count)]
            for client in opened:
                client.sendall(data)
            time.sleep(0.5)  # all have been taken by now
            return opened

        yield many


def assert_serves(port: int) -> None:
    """One request after the other is answered at once."""
    for _ in range(3):
        start = time.monotonic()
        assert healthy(port)
        assert time.monotonic() - start < SOON


CLOSING = {
    "old": b"GET /health HTTP/1.0\r\n\r\n",
    "closing": b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "stranger": request("", length=5),
    "stray": request("", length=5, path="/robots.txt"),
    "nonsense": b"GET\r\n\r\n",
}


@pytest.mark.parametrize("data", CLOSING.values(), ids=CLOSING)
def test_who_never_closes_blocks_nobody(
    port: int, clients: Callable[..., list[socket.socket]], data: bytes
) -> None:
    opened = clients(data)
    assert_serves(port)
    for client in opened:
        assert client.recv(20).startswith(b"HTTP/1.")


def chunked(body: bytes) -> bytes:
    lines = ["POST /cluster HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", signature()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


UNFINISHED = {
    "nothing": lambda: request(signature()),
    "a part": lambda: request(signature()) + b"{",
    "most of a large one": lambda: request(signature(), length=500_000) + bytes(200_000),
    "when told to": lambda: request(f"{signature()}\r\nExpect: 100-continue"),
    "chunk without an end": lambda: chunked(b"FFFFFFFFFFFFFFFF\r\n{"),
    "size without an end": lambda: chunked(b"F" * 8000),
    "trailer without an end": lambda: chunked(b"0\r\nX: y"),
}


@pytest.mark.parametrize("data", UNFINISHED.values(), ids=UNFINISHED)
def test_whose_body_never_comes_blocks_nobody(
    port: int, clients: Callable[..., list[socket.socket]], data: Callable[[], bytes]
) -> None:
    """Not even those who send a body, as long as it comes."""
    clients(data())
    assert_serves(port)
    with connect(port) as client:
        client.sendall(request(signature(), length=2))
        time.sleep(0.2)
        client.sendall(b"{}")
        start = time.monotonic()
        assert status(client) == 401
        assert time.monotonic() - start < SOON


def test_a_large_body_waits_for_its_turn(
    port: int, clients: Callable[..., list[socket.socket]]
) -> None:
    """While others hold all the threads there are for such; it is read to its end."""
    opened = clients(request(signature()), THREADS)
    with connect(port) as client:
        client.sendall(request(signature(), length=300_000) + b" " * 200_000)
        time.sleep(0.5)
        for other in opened:
            other.close()
        client.settimeout(TURN_SECONDS / 2)
        client.sendall(b" " * 100_000)
        assert status(client) == 401


def test_half_closed_connections_are_answered_and_closed(
    port: int, clients: Callable[..., list[socket.socket]]
) -> None:
    for client in clients(request(signature())):
        client.shutdown(socket.SHUT_WR)
        assert status(client) == 401  # what came is not what was signed
        while client.recv(1000):
            pass
    assert_serves(port)


IDLE = {
    "never asked": lambda: b"",
    "asked once": lambda: b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "sent no body": lambda: request(signature()),
}


@pytest.mark.parametrize("data", IDLE.values(), ids=IDLE)
def test_more_connections_than_are_kept_give_way_to_new_ones(
    port: int, clients: Callable[..., list[socket.socket]], data: Callable[[], bytes]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        with suppress(ConnectionResetError):
            clients(data(), 1200)
        wait_healthy(port, 9)  # a busy machine takes so many in one after the other
        assert_serves(port)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_who_never_reads_blocks_nobody(long_port: int) -> None:
    with ExitStack() as stack:
        for _ in range(4 * THREADS):
            client = stack.enter_context(connect(long_port))
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        time.sleep(0.5)
        assert_serves(long_port)


def test_who_reads_slowly_gets_all_of_it(long_port: int) -> None:
    """Two long answers, one behind the other, and a request behind them, on one connection."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", long_port))
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(1)
        received = bytearray()
        while part := client.recv(1 << 20):
            received += part
    first, second, third, last = bytes(received).split(b"HTTP/1.1 200 OK\r\n")
    assert first == b""
    assert second.endswith(b"\r\n\r\n" + LONG)
    assert third.endswith(b"\r\n\r\n" + LONG)
    assert last.endswith(b"\r\n\r\nok")
