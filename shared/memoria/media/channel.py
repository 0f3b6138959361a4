"""Messages between a process and its decoding child: JSON, and at most one descriptor with each.

Bytes and pixels do not go through the socket: they lie in anonymous memory (``memfd_create``),
whose descriptor is passed along. Nothing is written to a disk, and /dev/shm is not needed.
"""

import json
import mmap
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from memoria.arrays import Image

_LENGTH = 4  # bytes that tell how long a message is


class Closed(Exception):
    """The socket is closed, at the other end or at ours."""


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
            message = json.loads(_exactly(channel, int.from_bytes(head, "big")))
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


def _exactly(channel: socket.socket, length: int) -> bytes:
    parts = []
    while length:
        part = channel.recv(length)
        if not part:
            raise Closed
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def shared_bytes(*parts: bytes | memoryview) -> int:
    """A descriptor of anonymous memory that holds the parts, one after the other.

    Written, not mapped: every page of a map costs a fault.
    """
    descriptor = os.memfd_create("photo")
    try:
        for part in parts:
            with memoryview(part).cast("B") as view:
                at = 0
                while at < len(view):
                    at += os.write(descriptor, view[at:])
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def taken_bytes(descriptor: int) -> bytes:
    """The bytes behind a descriptor, which is closed."""
    try:
        size = os.fstat(descriptor).st_size
        data = os.pread(descriptor, size, 0)
        while len(data) < size:  # a call reads at most 2 GiB
            data += os.pread(descriptor, size - len(data), len(data))
        return data
    finally:
        os.close(descriptor)


def taken_images(descriptor: int, shapes: Sequence[Sequence[int]]) -> list[Image]:
    """Images of these shapes over the memory behind a descriptor, which is closed.

    The memory goes with the last of them.
    """
    try:
        size = os.fstat(descriptor).st_size
        memory = mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
    finally:
        os.close(descriptor)
    images, at = [], 0
    for shape in shapes:
        count = int(np.prod(shape))
        images.append(np.frombuffer(memory, np.uint8, count, at).reshape(shape))
        at += count
    return images
