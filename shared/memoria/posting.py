"""One POST whose answer matters by its status alone.

Everything together has one deadline: a receiver that answers a byte at a time does not outlast it.
The answer's body is never read: a flood of it costs nothing.
"""

import ssl
import time
from collections.abc import Iterable, Mapping

import httpcore

from memoria.deadline import Deadline, TimedStream


class NotAnswered(Exception):
    """No status came in time, or the connection failed; the message is the kind of trouble."""


class _Network(httpcore.NetworkBackend):
    """Connects to any host, and keeps a deadline, the name look-up included."""

    def __init__(self, deadline: Deadline) -> None:
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
        """Connect within what is left of the deadline."""
        left = self._deadline.left(timeout)
        stream = self._deadline.run(
            lambda: self._sockets.connect_tcp(host, port, left, local_address, socket_options)
        )
        return TimedStream(stream, self._deadline)


def post_for_status(
    url: str, body: bytes, headers: Mapping[str, str], *, seconds: float, context: ssl.SSLContext
) -> int:
    """The HTTP status of the answer; redirects are not followed. Raises NotAnswered."""
    network = _Network(Deadline(time.monotonic() + seconds))
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=context, network_backend=network, max_connections=1
            ) as pool,
            pool.stream("POST", url, headers=list(headers.items()), content=body) as response,
        ):
            return response.status
    except (httpcore.TimeoutException, TimeoutError) as exc:
        raise NotAnswered(f"no answer within {seconds:g} s") from exc
    # UnicodeError: a name that the resolver cannot even spell
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError, UnicodeError) as exc:
        raise NotAnswered(type(exc).__name__) from exc
