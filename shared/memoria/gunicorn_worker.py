"""gunicorn's threaded worker, which buffers requests and answers as a front end would.

As it comes, a thread reads a request for as long as its client takes, and writes the answer so:
as many slow clients as there are threads block the service. Here the poller, which waits for all
clients at once, collects requests, sends what a client did not take at once, and closes. A thread
gets a request that is whole; those whose body is large or still on its way share half the threads.
"""

import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import chain
from selectors import EVENT_READ, EVENT_WRITE

from gunicorn.workers import gthread

from memoria.gunicorn_connection import Client, Connection

HEADER_SECONDS = 10.0  # for a whole request's headers, from the connection or its first byte on
TURN_SECONDS = 60.0  # that a request whose body is not there waits for a thread
SEND_SECONDS = 20.0  # in which a client takes something of its answer
DRAIN_SECONDS = 0.1  # for a body that nobody read, so that its connection can be kept
LINGER_SECONDS = 2.0  # for the client's end before ours, which could overtake the answer
FRESH_SECONDS = 1.0  # in which a new connection does not count as idle

Answered = Future[object]  # of a thread: whether the connection is kept


class BufferingWorker(gthread.ThreadWorker):  # type: ignore[misc]
    """Hands connections to threads when their request is there; its poller waits for no client."""

    unread = 0  # requests in threads whose body was not there
    is_crowded = False  # no more files can be opened

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection."""
        try:
            accepted, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            self.is_crowded = True
            return
        self.nr_conns += 1
        conn = Connection(self.cfg, Client(accepted), address, listener.getsockname())
        self._await_request(conn)

    def on_client_socket_readable(self, conn: Connection, client: Client) -> None:
        """Begin with the next request of a connection that was kept."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_request(conn)

    def handle(self, conn: Connection) -> object:
        """Answer one request, in a thread."""
        conn.init()
        conn.parser.unreader.unread(conn.taken())
        return super().handle(conn)

    def finish_request(self, conn: Connection, answered: Answered) -> None:
        """Send what is left of an answer, then go on."""
        self.unread -= conn.is_unread
        conn.is_unread = False
        if conn.sock.unsent and conn.sock.fileno() >= 0:
            self._wait(conn, SEND_SECONDS, EVENT_WRITE, partial(self._send, answered=answered))
        else:
            self._go_on(conn, answered)

    def murder_pending(self) -> None:
        """After each round of events: whose time is over goes, whose turn has come is served."""
        now = time.monotonic()
        for conn in list(self.pending_conns):
            if conn.timeout <= now:
                self._drop(conn)
            elif conn.waits_turn and self.unread < max(self.cfg.threads // 2, 1):
                conn.is_unread = True
                self.unread += 1
                self._hand_over(conn)
        if self.alive and (self.is_crowded or self.nr_conns >= self.worker_connections):
            self._make_room()

    def _await_request(self, conn: Connection) -> None:
        self._wait(conn, HEADER_SECONDS, EVENT_READ, self._collect)

    def _collect(self, conn: Connection) -> None:
        data = conn.receive()
        if data is not None:
            conn.collect(data)
            self._sort(conn, is_over=not data)

    def _sort(self, conn: Connection, *, is_over: bool = False) -> None:
        """Hand a request over, let it wait, or give it up."""
        if conn.is_whole or (conn.has_headers and is_over):
            self._hand_over(conn)
        elif is_over or (conn.is_full and not conn.has_headers):
            self._drop(conn)
        elif conn.has_headers:
            if not conn.waits_turn:
                conn.waits_turn, conn.timeout = True, time.monotonic() + TURN_SECONDS
            if conn.is_full:
                self.poller.unregister(conn.sock)

    def _hand_over(self, conn: Connection) -> None:
        self._stop_waiting(conn)
        conn.waits_turn = False
        self.enqueue_req(conn)

    def _send(self, conn: Connection, answered: Answered) -> None:
        """Send more of an answer."""
        try:
            conn.sock.push()
        except OSError:
            self._drop(conn)
            return
        conn.timeout = time.monotonic() + SEND_SECONDS
        if not conn.sock.unsent:
            self._stop_waiting(conn)
            self._go_on(conn, answered)

    def _go_on(self, conn: Connection, answered: Answered) -> None:
        """Behind a whole answer: the next request, if the connection is kept."""
        if answered.cancelled() or answered.exception() or not answered.result():
            self._linger(conn)
            return
        conn.collect(conn.parser.unreader.take_buffered())
        if conn.is_empty:
            conn.since = time.monotonic()
            super().finish_request(conn, answered)
        else:
            self._await_request(conn)
            self._sort(conn)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        if not keepalive or conn.sock.is_stopped:
            return False
        return bool(conn.parser.finish_body(deadline=time.monotonic() + DRAIN_SECONDS))

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:  # a stopping worker waits where it owes something
            if not conn.is_owed:
                conn.timeout = min(conn.timeout, deadline)

    def _linger(self, conn: Connection) -> None:
        """Say that this was all, and wait for the client's end."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(conn)
        else:
            self._wait(conn, LINGER_SECONDS, EVENT_READ, self._drain)

    def _drain(self, conn: Connection) -> None:
        if conn.receive() == b"":
            self._drop(conn)

    def _wait(
        self, conn: Connection, seconds: float, events: int, then: Callable[[Connection], None]
    ) -> None:
        """Leave a connection to the poller."""
        conn.sock.setblocking(False)
        conn.since = time.monotonic()
        conn.timeout = conn.since + seconds
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, events, lambda _: then(conn))

    def _stop_waiting(self, conn: Connection) -> None:
        for waiting in (self.pending_conns, self.keepalived_conns):
            with suppress(ValueError):
                waiting.remove(conn)
        with suppress(KeyError, ValueError):
            self.poller.unregister(conn.sock)

    def _drop(self, conn: Connection) -> None:
        self._stop_waiting(conn)
        self.nr_conns -= 1
        conn.close()

    def _make_room(self) -> None:
        """Close what has waited longest: an idle one, if there is any that did not just come."""
        self.is_crowded = False
        fresh = time.monotonic() - FRESH_SECONDS

        def last(conn: Connection) -> tuple[bool, float]:
            return conn.is_owed or conn.since > fresh, conn.since

        oldest = min(chain(self.pending_conns, self.keepalived_conns), key=last, default=None)
        if oldest is not None:
            self._drop(oldest)
