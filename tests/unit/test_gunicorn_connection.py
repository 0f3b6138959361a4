"""How long a request is, before anybody has parsed it."""

import math

import pytest

from memoria.gunicorn_connection import body_bytes

SURE = {
    b"": 0,
    b"Content-Length: 0": 0,
    b"content-length:12": 12,
    b"X: y\r\nCONTENT-LENGTH: \t 12 \r\nZ: y": 12,
}
UNSURE = [
    b"Transfer-Encoding: chunked",
    b"Content-Length: 1\r\nTransfer-Encoding: identity",
    b"Content-Length: 1\r\nContent-Length: 1",
    b"Content-Length: 1\r\nX-Content-Length: 1",
    b"Content-Length: -1",
    b"Content-Length: 1_0",
    b"Content-Length : 1",
    b"Content-Length: 1,1",
    b"Content-Length:\r\n 1",
    b"X: content-length",
    b"Content-Length: " + b"9" * 30,
]


def headers(lines: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\n" + (lines + b"\r\n" if lines else b"") + b"\r\n"


@pytest.mark.parametrize(("lines", "length"), SURE.items())
def test_a_body_is_as_long_as_its_only_length_says(lines: bytes, length: int) -> None:
    assert body_bytes(headers(lines)) == length


@pytest.mark.parametrize("lines", UNSURE)
def test_whatever_is_odd_is_left_to_the_parser(lines: bytes) -> None:
    assert body_bytes(headers(lines)) == math.inf
