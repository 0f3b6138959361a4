"""Where a photo lies: a signed URL for an object in Supabase Storage."""

from typing import TYPE_CHECKING

import httpx

from memoria import log
from memoria.errors import MediaForbidden, MediaGone, MediaUnavailable
from memoria.store.client import address

if TYPE_CHECKING:
    from supabase import Client

_GONE = ("404", "not_found", "NoSuchKey", "NoSuchBucket")
_UNREADABLE = "InternalError"  # storage3's word for a body that is not storage's own


def sign_url(client: "Client", bucket: str, path: str, seconds: int) -> str:
    """A fresh URL for an object, valid for some seconds.

    Raises MediaGone where there is no such object, MediaForbidden where storage denies it,
    MediaUnavailable where storage does not answer.
    """
    from storage3.exceptions import StorageApiError

    try:
        return str(client.storage.from_(bucket).create_signed_url(path, seconds)["signedURL"])
    except StorageApiError as exc:
        raise _translated(exc) from exc
    except httpx.TransportError as exc:
        reason = f"storage at {address(exc.request.url)} did not answer ({type(exc).__name__})"
        raise MediaUnavailable(reason) from exc


def sign_urls(client: "Client", bucket: str, paths: list[str], seconds: int) -> list[str | None]:
    """Fresh URLs for objects of one bucket in one call; None where one cannot be signed."""
    from storage3.exceptions import StorageApiError

    try:
        signed = client.storage.from_(bucket).create_signed_urls(paths, seconds)
    except (StorageApiError, httpx.TransportError) as exc:
        log.event("urls_not_signed", bucket=bucket, error=type(exc).__name__)
        return [None] * len(paths)
    urls = {one["path"]: None if one["error"] else one["signedURL"] for one in signed}
    return [urls.get(path) for path in paths]


def _translated(error: "Exception") -> MediaGone | MediaForbidden | MediaUnavailable:
    status, code = str(getattr(error, "status", "")), str(getattr(error, "code", ""))
    message = str(getattr(error, "message", ""))
    if status in _GONE or code in _GONE or "not found" in message.lower():
        return MediaGone("the photo is no longer in storage")
    if code == "InvalidKey":
        return MediaForbidden("storage takes no object of this name (InvalidKey)")
    if status in ("400", "401", "403") and code != _UNREADABLE:
        return MediaForbidden("storage denied access to the photo")
    return MediaUnavailable(f"storage answered {status or 'with an error'}")
