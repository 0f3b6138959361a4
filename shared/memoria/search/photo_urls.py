"""URLs for the photos of an answer: guests read no table and no bucket."""

from typing import TYPE_CHECKING

from memoria.contracts import Json
from memoria.store.signed_urls import sign_urls

if TYPE_CHECKING:
    from supabase import Client

GOOGLE_CLOUD = "gs://"  # signing there takes a private key, which the service has not


class PhotoUrls:
    """Signs the preview of each photo, or the photo where it has none."""

    def __init__(self, client: "Client", seconds: int) -> None:
        """Sign through an open supabase client, for so many seconds."""
        self._client = client
        self._seconds = seconds

    def __call__(self, photos: list[Json]) -> list[str | None]:
        """One URL each, None where it cannot be signed."""
        urls: list[str | None] = [None] * len(photos)
        for bucket, places in _by_bucket(photos).items():
            paths = [path for _, path in places]
            signed = sign_urls(self._client, bucket, paths, self._seconds)
            for (position, _), url in zip(places, signed, strict=True):
                urls[position] = url
        return urls


def _by_bucket(photos: list[Json]) -> dict[str, list[tuple[int, str]]]:
    found: dict[str, list[tuple[int, str]]] = {}
    for position, photo in enumerate(photos):
        path = str(photo["preview_path"] or photo["path"])
        if not photo["bucket"].startswith(GOOGLE_CLOUD):
            found.setdefault(photo["bucket"], []).append((position, path))
    return found
