"""One moment that everything a request does over the network has to keep.

A timeout of a socket is one for each byte: a slow sender never meets it.
"""

import ssl
import threading
import time
from collections.abc import Callable
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
