"""The network under a fetch: checked addresses only, and one deadline for all of it.

Every connection goes to an address that ``hosts`` has checked, and every socket operation, the
TLS handshake included, gets no more than what is left of the deadline.
"""

from collections.abc import Iterable

import httpcore

from memoria.deadline import Deadline, TimedStream


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
