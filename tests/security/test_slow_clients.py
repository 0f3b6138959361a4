"""Clients that take their time, against a function as it is served: gunicorn, real sockets."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from memoria.gunicorn_worker import HEADER_SECONDS
from memoria.request_body import BODY_SECONDS
from tests.security.served import (
    SECRET,
    THREADS,
    connect,
    request,
    served,
    signature,
    status,
    wait_healthy,
)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served() as port:
        yield port


BEARER = f"Authorization: Bearer {SECRET}"


@pytest.mark.parametrize("headers", ["", "Authorization: Bearer guess", "apikey: x"])
def test_a_stranger_is_answered_before_the_body(port: int, headers: str) -> None:
    with connect(port) as client:
        client.sendall(request(headers))
        start = time.monotonic()
        assert status(client) == 401
        assert time.monotonic() - start < 5


def test_a_declared_body_over_the_limit_is_refused_before_it_comes(port: int) -> None:
    with connect(port) as client:
        client.sendall(request(BEARER, length=10**12))
        assert status(client) == 413


@pytest.mark.slow
def test_a_body_of_one_byte_at_a_time_is_given_up(port: int) -> None:
    """Also one from a stranger whose signature can only be checked once the body is there."""
    start = time.monotonic()
    with connect(port) as known, connect(port) as pretending:
        known.sendall(request(BEARER))
        pretending.sendall(request(signature()))
        waiting = [known, pretending]
        while waiting and time.monotonic() - start < 40:
            waiting = [client for client in waiting if not answered(client)]
            time.sleep(0.5)
    assert time.monotonic() - start < BODY_SECONDS + 10


def answered(client: socket.socket) -> bool:
    """Send one more byte; whether there was an answer, or an end."""
    client.settimeout(0.1)
    try:
        client.sendall(b" ")
        return client.recv(100) is not None
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def whole_answer(client: socket.socket) -> bytes:
    """Head and body of one answer, however many pieces they come in."""
    answer = b""
    while (
        head := re.search(rb"content-length: (\d+).*?\r\n\r\n", answer, re.I | re.S)
    ) is None or (len(answer) < head.end() + int(head[1])):
        part = client.recv(1000)
        assert part, answer
        answer += part
    return answer


HALF = b"POST /cluster HTTP/1.1\r\nHost: x\r\nAuthor"


def test_half_sent_headers_block_nobody(port: int) -> None:
    clients = [connect(port) for _ in range(5 * THREADS)]
    for number, client in enumerate(clients):
        client.sendall(HALF if number % 2 else HALF[:7])
    time.sleep(0.3)  # a kinder server has taken them all by now
    assert wait_healthy(port) < HEADER_SECONDS / 2
    for client in clients:
        client.close()


def test_headers_that_come_in_pieces_are_whole(port: int) -> None:
    with connect(port) as client:
        for byte in request(BEARER, length=2):
            client.sendall(bytes([byte]))
        client.sendall(b"{}")
        assert status(client) == 400


@pytest.mark.slow
def test_headers_have_a_deadline_wherever_they_begin(port: int) -> None:
    """Also those that lie behind a whole request, on a connection that is kept."""
    health = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(port) as fresh, connect(port) as kept, connect(port) as silent:
        fresh.sendall(HALF)
        kept.sendall(health)
        assert whole_answer(kept).startswith(b"HTTP/1.1 200")
        kept.sendall(HALF)
        start = time.monotonic()
        for client in (fresh, kept, silent):
            client.settimeout(30)
            assert client.recv(100) == b""
        assert time.monotonic() - start < HEADER_SECONDS + 5


def test_half_a_request_behind_a_whole_one_holds_no_thread(port: int) -> None:
    health = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    clients = [connect(port) for _ in range(2 * THREADS)]
    for client in clients:
        client.sendall(health + HALF)
    for client in clients:
        assert whole_answer(client).startswith(b"HTTP/1.1 200")
    assert wait_healthy(port) < HEADER_SECONDS / 2
    clients[0].sendall(b"ization: none\r\nContent-Length: 0\r\n\r\n")
    answers = b""
    while b"HTTP/1.1 401" not in answers:
        part = clients[0].recv(1000)
        assert part, answers
        answers += part
    for client in clients:
        client.close()


def test_headers_without_an_end_are_given_up(port: int) -> None:
    with connect(port) as client, suppress(ConnectionError):
        client.sendall(b"GET /health HTTP/1.1\r\n" + b"x: y\r\n" * 20_000)
        assert client.recv(100) == b""


CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.parametrize("body", [b"zz\r\n", b"5\r\n{}", b"2\r\n{}XX", b"-1\r\n", b"5;\0=\r\n"])
@pytest.mark.parametrize("headers", [signature, lambda: BEARER], ids=["signature", "bearer"])
def test_a_malformed_chunk_is_the_senders_mistake(
    port: int, headers: Callable[[], str], body: bytes
) -> None:
    lines = ["POST /cluster HTTP/1.1", "Host: x", CHUNKED, headers()]
    with connect(port) as client:
        client.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        client.shutdown(socket.SHUT_WR)
        assert status(client) in {400, 401}
