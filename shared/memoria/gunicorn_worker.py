"""gunicorn's threaded worker, with a deadline on request headers.

As it comes, a thread reads a request's headers for as long as the client takes: as many half-sent
requests as there are threads block the service. Here headers are collected by the poller, which
waits for all clients at once, and a thread gets a connection whose headers are there.
"""

import socket
import time
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ

from gunicorn.workers import gthread

HEADER_SECONDS = 10.0  # for a whole request's headers, from the connection or its first byte on
HEADER_BYTES = 1 << 16
_END = b"\r\n\r\n"


class _Connection(gthread.TConn):  # type: ignore[misc]
    """A connection, and what has come of its next request's headers."""

    head = b""

    def init(self) -> None:
        """Make the parser, and give it what was read before it."""
        super().init()
        head, self.head = self.head, b""
        self.parser.unreader.unread(head)


class HeaderDeadlineWorker(gthread.ThreadWorker):  # type: ignore[misc]
    """Hands connections to threads once their headers are there, and closes those that dawdle."""

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection; its headers are waited for without a thread."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        self._await_headers(_Connection(self.cfg, client, address, listener.getsockname()))

    def on_client_socket_readable(self, conn: _Connection, client: socket.socket) -> None:
        """Begin with the next request of a connection that was kept."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_headers(conn)

    def on_pending_socket_readable(self, conn: _Connection, client: socket.socket) -> None:
        """Collect headers; hand the connection over, or give it up."""
        try:
            data = client.recv(HEADER_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        seen = max(0, len(conn.head) - len(_END))
        conn.head += data
        is_whole = conn.head.find(_END, seen) >= 0
        if data and not is_whole and len(conn.head) < HEADER_BYTES:
            return
        self.poller.unregister(client)
        self.pending_conns.remove(conn)
        if is_whole:
            conn.data_ready = True
            self.enqueue_req(conn)
        else:
            self._drop(conn)

    def handle(self, conn: _Connection) -> object:
        """Answer one request, in a thread."""
        if conn.parser is not None:  # kept: what was read of its next request lies before it
            head, conn.head = conn.parser.unreader.take_buffered() + conn.head, b""
            if _END not in head:
                conn.head = head
                return gthread._DEFER  # noqa: SLF001 - back to the poller
            conn.parser.unreader.unread(head)
        return super().handle(conn)

    def murder_pending(self) -> None:
        """Close the connections whose headers did not come in time."""
        now = time.monotonic()
        for conn in [conn for conn in self.pending_conns if conn.timeout <= now]:
            self.pending_conns.remove(conn)
            with suppress(OSError, KeyError, ValueError):
                self.poller.unregister(conn.sock)
            self._drop(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:  # a stopping worker waits for neither
            conn.timeout = min(conn.timeout, deadline)

    def _await_headers(self, conn: _Connection) -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + HEADER_SECONDS
        self.pending_conns.append(conn)
        readable = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, EVENT_READ, readable)

    def _drop(self, conn: _Connection) -> None:
        self.nr_conns -= 1
        conn.close()
