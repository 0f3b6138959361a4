"""Messages between a process and its decoding child: JSON, and at most one descriptor with each.

Bytes and pixels do not go through the socket: see shared_memory.py.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MOST_BYTES = 16 << 20  # of a message; thousands of boxes, or a long traceback, are under one
_LENGTH = 4  # bytes that tell how long a message is


class Closed(Exception):
    """The socket is closed, at the other end or at ours, or what comes is no message."""


def send(
    channel: socket.socket,
    message: dict[str, Any],
    descriptor: int | None = None,
    *,
    seconds: float | None = None,
) -> None:
    """One message. Raises Closed, TimeoutError where the other side takes nothing for so long."""
    body = json.dumps(message).encode()
    data = len(body).to_bytes(_LENGTH, "big") + body
    with _used(channel, seconds):
        sent = socket.send_fds(channel, [data], [] if descriptor is None else [descriptor])
        channel.sendall(data[sent:])


def receive(
    channel: socket.socket, *, seconds: float | None = None
) -> tuple[dict[str, Any], int | None]:
    """One message, and the descriptor that came with it, now ours. Raises as ``send``."""
    descriptors: list[int] = []
    try:
        with _used(channel, seconds):
            head, descriptors, _, _ = socket.recv_fds(channel, _LENGTH, 1)
            head += _exactly(channel, _LENGTH - len(head))
            message = _message(_exactly(channel, _bounded(int.from_bytes(head, "big"))))
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return message, descriptors[0] if descriptors else None


@contextmanager
def _used(channel: socket.socket, seconds: float | None) -> Iterator[None]:
    """Whatever is wrong with a socket that no time mends: it is closed."""
    try:
        channel.settimeout(seconds)
        yield
    except TimeoutError:
        raise
    except OSError as exc:
        raise Closed from exc


def _bounded(length: int) -> int:
    if length > MOST_BYTES:
        raise Closed
    return length


def _message(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise Closed from exc
    if not isinstance(message, dict):
        raise Closed
    return message


def _exactly(channel: socket.socket, length: int) -> bytes:
    parts = []
    while length:
        part = channel.recv(length)
        if not part:
            raise Closed
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
