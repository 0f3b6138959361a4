"""Messages and memory between a process and its child."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest

from memoria.media.channel import Closed, receive, send, shared_bytes, taken_bytes

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux's memfd")


def test_a_message_brings_its_descriptor() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        descriptor = shared_bytes(b"one", b"two")
        send(ours, {"do": "read"}, descriptor)
        os.close(descriptor)
        message, taken = receive(theirs)
        assert message == {"do": "read"}
        assert taken is not None
        assert taken_bytes(taken) == b"onetwo"


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


def test_memory_that_cannot_be_filled_is_given_up() -> None:
    rows_apart = np.zeros((4, 4), np.uint8)[:, ::2]
    with pytest.raises(TypeError):
        shared_bytes(b"begun", rows_apart.data)
    links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    assert not [link for link in links if "memfd:photo" in str(link.readlink())]
