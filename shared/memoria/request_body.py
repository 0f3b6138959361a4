"""The body of a request: from whom it is read, how much of it, and for how long."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import flask
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException

from memoria.auth import presents_credentials, verify
from memoria.errors import BodyTooLarge, InvalidRequest, Unauthorized

MAX_BODY_BYTES = 1 << 20
BODY_SECONDS = 20.0
_CHUNK_BYTES = 1 << 16


def authenticated_body(request: flask.Request, secrets: tuple[str, ...]) -> bytes:
    """The body of a request that presents one of the secrets or a signature made with one.

    Raises Unauthorized (before the body is read, where the headers tell), BodyTooLarge,
    InvalidRequest.
    """
    headers = lower_case_headers(request)
    if secrets and not presents_credentials(headers):
        raise Unauthorized("a valid secret or signature is required")
    if "webhook-signature" not in headers:
        verify(headers, b"", secrets)  # a wrong bearer costs us no body
    raw = _read_body(request)
    verify(headers, raw, secrets)
    return raw


def lower_case_headers(request: flask.Request) -> dict[str, str]:
    """The headers of a request, as ``auth`` reads them."""
    return {name.lower(): value for name, value in request.headers.items()}


def _read_body(request: flask.Request) -> bytes:
    """At most MAX_BODY_BYTES within BODY_SECONDS, whatever the length header says."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"the body is over {MAX_BODY_BYTES} bytes")
    body = bytearray()
    with body_reader(request, BODY_SECONDS) as read:
        while chunk := read(_CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise BodyTooLarge(f"the body is over {MAX_BODY_BYTES} bytes")
    return bytes(body)


@contextmanager
def body_reader(request: flask.Request, seconds: float) -> Iterator[Callable[[int], bytes]]:
    """``read(n)``: up to n bytes of the body, all of it within so many seconds.

    Raises InvalidRequest where it does not come in time.
    """
    # a timeout on the socket would be one per byte: a slow sender would never meet it
    guard = threading.Timer(seconds, _stop_reading, [request.environ.get("gunicorn.socket")])
    guard.start()
    try:
        yield request.stream.read
    except ParseException as exc:
        raise InvalidRequest("the body's chunks make no sense") from exc
    except (OSError, HTTPException) as exc:
        raise InvalidRequest("the body could not be read in time") from exc
    finally:
        guard.cancel()


def _stop_reading(connection: "socket.socket | None") -> None:
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RD)
