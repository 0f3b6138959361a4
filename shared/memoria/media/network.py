"""The network under a fetch: checked addresses only, and one deadline for all of it.

Every connection goes to an address that ``hosts`` has checked, and every socket operation, the
TLS handshake included, gets no more than what is left of the deadline.
"""

import ssl
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TypeVar

import httpcore

Result = TypeVar("Result")


class Deadline:
    """One moment that every step of a fetch has to keep."""

    def __init__(self, moment: float) -> None:
        self._moment = moment

    def left(self, wanted: float | None = None) -> float:
        """Seconds left, at most ``wanted``. Raises TimeoutError when there are none."""
        left = self._moment - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left if wanted is None else min(left, wanted)

    def run(self, work: Callable[[], Result]) -> Result:
        """The result of ``work``, for calls that know no timeout (a name look-up).

        Raises TimeoutError at the deadline; the thread is left to end by itself.
        """
        future: Future[Result] = Future()

        def settle() -> None:
            try:
                future.set_result(work())
            except BaseException as exc:
                future.set_exception(exc)

        threading.Thread(target=settle, daemon=True, name="deadline").start()
        return future.result(self.left())


class PinnedNetwork(httpcore.NetworkBackend):
    """Connects to the given addresses only, whatever name is asked for, and keeps a deadline."""

    def __init__(self, addresses: Iterable[str], deadline: Deadline) -> None:
        self._addresses = list(addresses)
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers; ``host`` stays the name for TLS."""
        failure: Exception = httpcore.ConnectError(f"no address for {host}")
        for address in self._addresses:
            try:
                stream = self._sockets.connect_tcp(
                    address, port, self._deadline.left(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
            else:
                return TimedStream(stream, self._deadline)
        raise failure


class TimedStream(httpcore.NetworkStream):
    """A stream whose every operation ends with the deadline: slow senders included."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what there is, up to ``max_bytes``."""
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of ``buffer``."""
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Shake hands for the name that was asked for, not for the address."""
        left = self._deadline.left(timeout)
        return TimedStream(
            self._stream.start_tls(ssl_context, server_hostname, left), self._deadline
        )

    def get_extra_info(self, info: str) -> object:
        """What httpcore asks about the connection."""
        return self._stream.get_extra_info(info)
