"""Messages between a process and its child."""

import os
import socket
from pathlib import Path

import pytest

from memoria.media.channel import Closed, receive, send


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
