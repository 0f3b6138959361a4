"""Served in the place of a function: answers that are larger than what a socket takes at once."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

LONG = bytes(range(256)) * 40_000  # 10 MB


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """A short answer at /health, a long one elsewhere."""
    body = b"ok" if environ["PATH_INFO"] == "/health" else LONG
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
