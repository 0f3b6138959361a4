"""A client's connection: what has come of its next request, what it has not taken of its answer."""

import math
import re
import socket
from contextlib import suppress

from gunicorn.workers import gthread

REQUEST_BYTES = 1 << 16  # of one request that are collected; more headers are refused
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n")


class Client(socket.socket):
    """A socket that no thread waits for: what it does not take at once is kept."""

    def __init__(self, accepted: socket.socket) -> None:
        """Take the place of a socket."""
        family, kind, protocol = accepted.family, accepted.type, accepted.proto
        super().__init__(family, kind, protocol, fileno=accepted.detach())
        self.unsent = bytearray()
        self.is_stopped = False  # the rest of a body was given up: what comes is no request

    def shutdown(self, how: int) -> None:
        """Take or send no more."""
        self.is_stopped |= how != socket.SHUT_WR
        super().shutdown(how)

    def sendall(self, data: bytes) -> None:  # type: ignore[override]
        """Send it now or later."""
        self.unsent += data
        self.push()

    def send(self, data: bytes) -> int:  # type: ignore[override]
        """Send it now or later."""
        self.sendall(data)
        return len(data)

    def push(self) -> None:
        """Send as much as it takes. Raises OSError where it has gone."""
        with suppress(BlockingIOError):
            while self.unsent:
                del self.unsent[: super().send(self.unsent, socket.MSG_DONTWAIT)]


class Connection(gthread.TConn):  # type: ignore[misc]
    """One request after the other, collected without a thread."""

    sock: Client
    waits_turn = False  # its headers are there, its body is not, and no thread is to spare
    is_unread = False  # it has a thread, though its body is not there
    since = 0.0  # when it began to wait

    def __init__(self, cfg: object, client: Client, address: object, server: object) -> None:
        super().__init__(cfg, client, address, server)
        self._request = b""
        self._size: float | None = None  # of the whole request, once its headers are there

    def receive(self) -> bytes | None:
        """What has come; None where nothing has yet, b"" where nothing will."""
        try:
            return self.sock.recv(REQUEST_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def collect(self, data: bytes) -> None:
        """Add to the request."""
        seen = max(0, len(self._request) - len(_END))
        self._request += data
        if self._size is None and (end := self._request.find(_END, seen)) >= 0:
            end += len(_END)
            self._size = end + body_bytes(self._request[:end])

    def taken(self) -> bytes:
        """The request, and what lies behind it; the next one begins."""
        request, self._request, self._size = self._request, b"", None
        return request

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it is there."""
        return not self._request

    @property
    def has_headers(self) -> bool:
        """Whether the headers are there."""
        return self._size is not None

    @property
    def is_whole(self) -> bool:
        """Whether the whole request is there."""
        return self._size is not None and len(self._request) >= self._size

    @property
    def is_full(self) -> bool:
        """Whether no more of it is collected."""
        return len(self._request) >= REQUEST_BYTES

    @property
    def is_owed(self) -> bool:
        """Whether we owe it an answer, or the rest of one."""
        return self.waits_turn or bool(self.sock.unsent)


def body_bytes(headers: bytes) -> float:
    """How long a request's body is; infinite where only its parser can tell."""
    headers = headers.lower()
    if b"transfer-encoding" in headers:
        return math.inf
    named, lengths = headers.count(b"content-length"), _LENGTH.findall(headers)
    if named != len(lengths) or named > 1:
        return math.inf
    return float(lengths[0]) if lengths else 0
