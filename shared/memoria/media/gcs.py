"""Photos that live in Google Cloud Storage (``gs://bucket/object``)."""

import functools
import io
import time
from typing import Any

from memoria.deadline import Deadline
from memoria.errors import (
    MediaForbidden,
    MediaGone,
    MediaTooLarge,
    MediaUnavailable,
    MemoriaError,
)


def fetch_object(bucket: str, path: str, *, max_bytes: int, timeout_seconds: float) -> bytes:
    """One object's bytes, at most ``max_bytes``, within ``timeout_seconds`` in all.

    Raises MediaForbidden, MediaGone, MediaTooLarge and MediaUnavailable, as ``MediaSource`` does.
    """
    moment = time.monotonic() + timeout_seconds
    sink = BoundedBuffer(max_bytes, moment)
    try:
        # The client's own timeout is one per read: a slow sender would never meet it.
        Deadline(moment).run(lambda: _download(bucket, path, sink, timeout_seconds))
    except TimeoutError as exc:
        raise MediaUnavailable(
            f"gs://{bucket}: no complete answer within {timeout_seconds:g} s"
        ) from exc
    return sink.getvalue()


def _download(bucket: str, path: str, sink: "BoundedBuffer", timeout_seconds: float) -> None:
    from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption
    from google.cloud.storage.retry import DEFAULT_RETRY

    try:
        blob = _client().bucket(bucket).blob(path)
        blob.download_to_file(
            sink, timeout=timeout_seconds, retry=DEFAULT_RETRY.with_timeout(timeout_seconds)
        )
    except GoogleAPICallError as exc:
        raise _refusal(bucket, exc.code) from exc
    except NoProject as exc:
        raise MediaUnavailable(
            f"gs://{bucket}: Google Cloud's client knows no project: set GOOGLE_CLOUD_PROJECT"
        ) from exc
    except GoogleAuthError as exc:
        raise MediaUnavailable(f"gs://{bucket}: no credentials for Google Cloud Storage") from exc
    except (GoogleAPIError, DataCorruption, OSError, ValueError) as exc:
        raise MediaUnavailable(f"gs://{bucket}: {type(exc).__name__}") from exc


class BoundedBuffer(io.BytesIO):
    """Memory that refuses to grow over a size, or to be written to after a moment."""

    def __init__(self, max_bytes: int, deadline: float) -> None:
        super().__init__()
        self._max_bytes = max_bytes
        self._deadline = deadline

    def write(self, data: Any, /) -> int:
        """Append ``data``. Raises MediaTooLarge, and MediaUnavailable once time is up."""
        if time.monotonic() > self._deadline:
            raise MediaUnavailable("the object did not arrive in time")
        if self.tell() + len(data) > self._max_bytes:
            raise MediaTooLarge(f"the file is over the limit of {self._max_bytes} bytes")
        return super().write(data)


class NoProject(Exception):
    """The environment's credentials name no project."""


@functools.cache
def _client() -> Any:
    from google.cloud import storage

    try:
        return storage.Client()
    except OSError as exc:
        raise NoProject(str(exc)) from exc


def _refusal(bucket: str, status: int | None) -> MemoriaError:
    if status in {404, 410}:
        return MediaGone(f"gs://{bucket}: the file is no longer there (HTTP {status})")
    if status in {400, 401, 403}:
        return MediaForbidden(f"gs://{bucket}: storage gives no access (HTTP {status})")
    return MediaUnavailable(f"gs://{bucket}: answered HTTP {status}")
