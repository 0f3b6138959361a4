"""Messages between a process and its child."""

import os
import socket
import threading
from pathlib import Path

import pytest

from memoria.media.channel import MOST_BYTES, Closed, receive, send


def test_a_message_brings_its_descriptor(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    (tmp_path / "file").write_bytes(b"one")
    with ours, theirs:
        with (tmp_path / "file").open("rb") as file:
            send(ours, {"do": "read"}, file.fileno())
        message, taken = receive(theirs)
        assert message == {"do": "read"}
        assert taken is not None
        assert os.pread(taken, 9, 0) == b"one"
        os.close(taken)


@pytest.mark.parametrize("closed", [0, 1])
def test_a_socket_is_closed_whoever_closed_it(closed: int) -> None:
    pair = socket.socketpair()
    with pair[0], pair[1]:
        pair[closed].close()
        with pytest.raises(Closed):
            send(pair[0], {"do": "read"}, seconds=60)
        with pytest.raises(Closed):
            receive(pair[0], seconds=60)


def test_a_silent_child_is_not_waited_for_for_ever() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TimeoutError):
        receive(ours, seconds=0.01)


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "sent",
    [
        framed(b"\xff\xfe"),
        framed(b"no JSON"),
        framed(b""),
        framed(b"[1]"),
        framed(b"null"),
        framed(b"[" * 200_000),
        (MOST_BYTES + 1).to_bytes(4, "big"),
        b"\xff\xff\xff\xff",
    ],
    ids=lambda sent: repr(sent[:9]),
)
def test_what_is_no_message_is_the_end_of_it(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        threading.Thread(target=theirs.sendall, args=(sent,), daemon=True).start()
        with pytest.raises(Closed):
            receive(ours, seconds=5)
