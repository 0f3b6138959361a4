"""URL to bytes: checked, bounded in size, bounded in time.

httpcore is used directly, because it takes the network as an argument (``network``). A photo gets
a connection of its own: next to a second of inference the handshake is cheap, and no idle
connection can be found dead when a frozen instance thaws.
"""

import json
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

import httpcore
import httpx

from memoria.deadline import Deadline
from memoria.errors import (
    MediaForbidden,
    MediaGone,
    MediaTooLarge,
    MediaUnavailable,
    MemoriaError,
)
from memoria.media.hosts import AllowedHosts
from memoria.media.network import PinnedNetwork

MAX_REDIRECTS = 5
REASON_BYTES = 4096  # how much of an error page is read to learn the reason
NOT_SET_UP = "TenantNotFound"
REDIRECTS = {301, 302, 303, 307, 308}
# 402 is what Supabase answers once a quota is used up: the owner can mend it, so the photo waits.
TRY_AGAIN = {402, 408, 409, 421, 423, 425, 429}


class MediaSource:
    """Fetches photos from the allowed hosts; safe to call from several threads."""

    def __init__(
        self,
        *,
        allowed: AllowedHosts,
        max_bytes: int,
        timeout_seconds: float,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = allowed
        self._max_bytes = max_bytes
        self._timeout_seconds = timeout_seconds
        self._ssl_context = ssl_context or httpx.create_ssl_context()

    def fetch(self, url: str) -> bytes:
        """The body behind ``url``, at most ``max_bytes`` long, within ``timeout_seconds`` in all.

        Raises MediaForbidden (not an allowed place, or the host answers 400, 401, 403),
        MediaGone (404, 410), MediaTooLarge, and MediaUnavailable for what may pass.
        """
        deadline = Deadline(time.monotonic() + self._timeout_seconds)
        target = self._allowed.admit(url)
        for _ in range(MAX_REDIRECTS + 1):
            host = target.host
            try:
                answer = self._get(target, deadline)
            except MemoriaError:
                raise
            except (httpcore.TimeoutException, TimeoutError) as exc:
                raise MediaUnavailable(
                    f"{host}: no complete answer within {self._timeout_seconds:g} s"
                ) from exc
            except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as exc:
                raise MediaUnavailable(f"{host}: {_transport_reason(exc)}") from exc
            if isinstance(answer, bytes):
                return answer
            target = self._allowed.admit(answer.location)
        raise MediaForbidden(f"{host}: more than {MAX_REDIRECTS} redirects")

    def _get(self, url: httpx.URL, deadline: Deadline) -> "bytes | Redirect":
        addresses = deadline.run(lambda: self._allowed.addresses(url))
        network = PinnedNetwork(addresses, deadline)
        headers = [
            ("Host", url.netloc.decode("ascii")),
            ("Accept", "image/*, */*;q=0.1"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", "memoria"),
        ]
        wanted = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        with (
            httpcore.ConnectionPool(
                ssl_context=self._ssl_context, network_backend=network, max_connections=1
            ) as pool,
            pool.stream("GET", wanted, headers=headers) as response,
        ):
            if response.status == HTTPStatus.OK:
                return self._body(url, response)
            if response.status in REDIRECTS:
                return Redirect.of(url, response)
            raise _refusal(url.host, response, is_storage=self._allowed.is_storage(url))

    def _body(self, url: httpx.URL, response: httpcore.Response) -> bytes:
        declared = _header(response, b"content-length")
        if declared.isdigit() and int(declared) > self._max_bytes:
            raise self._too_large(url)
        body = bytearray()  # not the chunks: a million of two bytes take fifty times their bytes
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > self._max_bytes:
                raise self._too_large(url)
        return bytes(body)

    def _too_large(self, url: httpx.URL) -> MediaTooLarge:
        return MediaTooLarge(f"{url.host}: the file is over the limit of {self._max_bytes} bytes")


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where a host sends us: an absolute URL, still to be checked."""

    location: str

    @classmethod
    def of(cls, url: httpx.URL, response: httpcore.Response) -> "Redirect":
        """Read the Location header, which may be relative to ``url``."""
        location = _header(response, b"location")
        if not location:
            raise MediaUnavailable(f"{url.host}: a redirect that leads nowhere")
        try:
            return cls(str(url.join(location)))
        except (httpx.InvalidURL, ValueError) as exc:
            raise MediaForbidden(f"{url.host}: a redirect that cannot be read") from exc


def _header(response: httpcore.Response, name: bytes) -> str:
    return next((v.decode("latin-1") for k, v in response.headers if k.lower() == name), "")


def _refusal(host: str, response: httpcore.Response, *, is_storage: bool) -> MemoriaError:
    """The error for an answer that is neither the photo nor a redirect.

    ``is_storage``: Supabase Storage would say why in its own words. Without them it was something
    before it, while storage itself was down, and says nothing of the photo.
    """
    status = response.status
    if is_storage or status == HTTPStatus.BAD_REQUEST:
        meant = _meant_status(response)
        if is_storage and meant is None:
            return MediaUnavailable(f"{host}: answered HTTP {status}, but not as storage does")
        status = meant or status
    if status in {404, 410}:
        return MediaGone(f"{host}: the file is no longer there (HTTP {status})")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in TRY_AGAIN or status < 400:
        return MediaUnavailable(f"{host}: answered HTTP {status}")
    if status in {400, 401, 403}:
        return MediaForbidden(f"{host}: the link has expired or gives no access (HTTP {status})")
    return MediaForbidden(f"{host}: answered HTTP {status}")


def _meant_status(response: httpcore.Response) -> int | None:
    """Supabase Storage answers 400 to nearly everything, and says what it means in the body.

    None where the body is not its own (it writes the status as text, frameworks write a number), or
    says that storage is not set up, which is no answer about a photo.
    """
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > REASON_BYTES:
            return None
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        told = json.loads(bytes(body))
        if isinstance(told["statusCode"], str) and told["error"] != NOT_SET_UP:
            meant = int(told["statusCode"])
            return meant if 400 <= meant < 600 else None
    return None


def _transport_reason(exc: Exception) -> str:
    if isinstance(exc.__cause__, ssl.SSLError) or "CERTIFICATE" in str(exc):
        return "the TLS handshake failed"
    if isinstance(exc, httpcore.ConnectError):
        return "no connection"
    return "the connection broke off"
