"""Where a photo lies: a signed URL for an object in Supabase Storage."""

from typing import TYPE_CHECKING

import httpx

from memoria import log
from memoria.errors import MediaForbidden, MediaGone, MediaUnavailable
from memoria.store.client import address

if TYPE_CHECKING:
    from storage3.exceptions import StorageApiError
    from supabase import Client

_NOT_SET_UP = "TenantNotFound"  # a 400, though it says nothing of the photo


def sign_url(client: "Client", bucket: str, path: str, seconds: int) -> str:
    """A fresh URL for an object, valid for some seconds.

    Raises MediaGone where there is no such object, MediaForbidden where storage denies it,
    MediaUnavailable where storage does not answer.
    """
    from pydantic import ValidationError
    from storage3.exceptions import StorageApiError

    if {"..", "."} & set(path.split("/")):
        raise MediaForbidden("storage takes no object of this name (a folder named . or ..)")
    try:
        return str(client.storage.from_(bucket).create_signed_url(path, seconds)["signedURL"])
    except StorageApiError as exc:
        raise _translated(exc) from exc
    except ValidationError as exc:
        raise MediaUnavailable("it was not storage that answered 200") from exc
    except httpx.RequestError as exc:
        reason = f"storage at {address(exc.request.url)} did not answer ({type(exc).__name__})"
        raise MediaUnavailable(reason) from exc


def sign_urls(client: "Client", bucket: str, paths: list[str], seconds: int) -> list[str | None]:
    """Fresh URLs for objects of one bucket in one call; None where one cannot be signed."""
    from pydantic import ValidationError
    from storage3.exceptions import StorageApiError

    try:
        signed = client.storage.from_(bucket).create_signed_urls(paths, seconds)
    except (StorageApiError, ValidationError, httpx.RequestError) as exc:
        log.event("urls_not_signed", bucket=bucket, error=type(exc).__name__)
        return [None] * len(paths)
    urls = {one["path"]: None if one["error"] else one["signedURL"] for one in signed}
    return [urls.get(path) for path in paths]


def _translated(error: "StorageApiError") -> MediaGone | MediaForbidden | MediaUnavailable:
    """The true status is the body's, which storage writes as text.

    A number is that of a framework's JSON, or of a page without any: not storage answered.
    """
    status, code = error.status, error.code
    if not isinstance(status, str):
        return MediaUnavailable(f"it was not storage that answered {status}")
    if status == "404":
        return MediaGone("the photo is no longer in storage")
    if code == "InvalidKey":
        return MediaForbidden("storage takes no object of this name (InvalidKey)")
    if status in ("400", "401", "403") and code != _NOT_SET_UP:
        return MediaForbidden("storage denied access to the photo")
    return MediaUnavailable(f"storage answered {status} ({code})")
