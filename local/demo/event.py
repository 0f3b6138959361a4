"""An event as an app sees it: photos up, faces and people down, through the public API alone."""

import hashlib
import io
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from PIL import Image
from postgrest.exceptions import APIError
from storage3.exceptions import StorageApiError
from supabase import Client

from local.demo.pictures import frame_of
from memoria.errors import MemoriaError, Terminal
from memoria.media.formats import photo_format

Json = dict[str, Any]
Paths = tuple[str, str | None]  # of a photo and its preview, in the bucket
Photos = dict[str, Path]  # by name
BUCKET = "photos"
PREVIEW_PX = 1024
LARGE_BYTES = 400_000  # a smaller file is shown as it is, where browsers show its kind
SHOWN = {"JPEG", "PNG", "WEBP", "GIF", "AVIF"}  # by every browser
_PHOTOS = uuid.UUID("0f7a6f3e-6d0c-4c2b-9d63-5a0f2f0c7a11")  # a photo's id, from event and name


def upload_event(
    client: Client,
    event_id: str,
    photos: Mapping[str, Path],
    uploaded: Callable[[], None],
    owner_id: str | None = None,
) -> dict[str, str]:
    """Bring an event to the photos of a folder -> names by media id; ``uploaded`` after each.

    An event that is there is looked at again, whole, and keeps its names and corrections: photos
    that the folder has no more are deleted, those that were added by other means stay.
    """
    _open_event(client, event_id, owner_id)
    names = {str(uuid.uuid5(_PHOTOS, f"{event_id}/{name}")): name for name in photos}
    known = {
        item["media_id"]: (item["path"], item["preview_path"])
        for item in media_of(client, event_id)
    }
    for media_id in known.keys() - names.keys():
        _delete(client, event_id, media_id, known[media_id])
    if known.keys() & names.keys():
        _call(client, "memoria_reprocess", {"p_event_id": event_id})

    def upload(media_id: str) -> None:
        _upload(client, event_id, media_id, photos[names[media_id]], known.get(media_id))
        uploaded()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upload, names))
    return names


def _open_event(client: Client, event_id: str, owner_id: str | None) -> None:
    with suppress(StorageApiError):
        client.storage.create_bucket(BUCKET)
    made = {"p_event_id": event_id, "p_owner_id": owner_id}
    if _call(client, "memoria_create_event", made)["status"] == "archived":
        _call(client, "memoria_reopen_event", {"p_event_id": event_id})


def _delete(client: Client, event_id: str, media_id: str, paths: Paths) -> None:
    """A photo that the folder has no more, where it came from the folder."""
    if paths[0].startswith(_folder(event_id)):
        _call(client, "memoria_delete_media", {"p_media_id": media_id})
        client.storage.from_(BUCKET).remove([path for path in paths if path])


def _upload(client: Client, event_id: str, media_id: str, photo: Path, known: Paths | None) -> None:
    """A photo and its preview, unless they are there, ``known`` by these paths; and its job."""
    data = photo.read_bytes()
    digest = hashlib.sha256(data).hexdigest()[:16]
    folder, name = _folder(event_id), f"{media_id}-{digest}"
    path = f"{folder}{name}{photo.suffix.lower()}"
    preview_path = None if is_shown(data) else f"{folder}preview/{name}.jpg"
    if known != (path, preview_path):
        bucket = client.storage.from_(BUCKET)
        bucket.upload(path, data, {"upsert": "true"})
        preview = preview_of(data) if preview_path else b""
        if preview_path and preview:
            bucket.upload(preview_path, preview, {"upsert": "true"})
        else:
            preview_path = None
    ids = {"p_media_id": media_id, "p_event_id": event_id, "p_bucket": BUCKET}
    _call(client, "memoria_enqueue", ids | {"p_path": path, "p_preview_path": preview_path})


def is_shown(data: bytes) -> bool:
    """Whether every browser shows the file itself, and soon."""
    try:
        return len(data) <= LARGE_BYTES and photo_format(data) in SHOWN
    except Terminal:
        return False


def preview_of(data: bytes) -> bytes:
    """A JPEG of at most PREVIEW_PX for the app's grids; empty of what cannot be read."""
    try:
        image = Image.fromarray(frame_of(data, PREVIEW_PX))
    except MemoriaError:
        return b""
    image.thumbnail((PREVIEW_PX, PREVIEW_PX))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=82)
    return file.getvalue()


def _folder(event_id: str) -> str:
    """Where the photos of the demo lie in an event's folder, apart from what an app adds."""
    return f"{event_id}/demo/"


def has_event(client: Client, event_id: str) -> bool:
    """Whether the database knows it."""
    try:
        event_status(client, event_id)
    except APIError:
        return False
    return True


def event_status(client: Client, event_id: str) -> Json:
    """How far the event is; see ``memoria_event_status``."""
    return _call(client, "memoria_event_status", {"p_event_id": event_id})


def media_of(client: Client, event_id: str) -> list[Json]:
    """Every photo of the event, as ``memoria_media`` tells it."""
    return _all(client, "memoria_media", event_id, "media")


def read_event(
    client: Client, event_id: str, media: Sequence[Json], names: Mapping[str, str]
) -> Json:
    """The answer of the demo, ``people.json``, from ``media_of`` and ``memoria_people``.

    The people are in the database's order, which is the app's. A photo that was not in the folder
    goes by its path in Storage.
    """
    people = _all(client, "memoria_people", event_id, "people")
    photos = {names.get(m["media_id"], m["path"]): _photo(m) for m in media}
    photos = dict(sorted(photos.items()))
    return {
        "event_id": event_id,
        "model": next((item["model"] for item in media if item["model"]), None),
        "photos": photos,
        "people": [_person(person, photos) for person in people],
    }


def fetch_added(
    client: Client, media: Sequence[Json], names: Mapping[str, str], folder: Path
) -> Photos:
    """What the app added to the photos of ``names``, copied into ``folder`` -> by paths in Storage.

    Of a photo that failed, or whose object is gone, there is no such file.
    """
    added = [item for item in media if item["media_id"] not in names]
    files = {item["path"]: folder / str(number) for number, item in enumerate(added)}
    for item in added:
        if item["status"] != "completed":
            continue
        with suppress(StorageApiError):
            data = client.storage.from_(item["bucket"]).download(item["path"])
            files[item["path"]].write_bytes(data)
    return files


def _all(client: Client, function: str, event_id: str, items: str) -> list[Json]:
    """Every item of a list that is read in pages."""
    found: list[Json] = []
    after: Any = None
    while True:
        asked = {"p_event_id": event_id, "p_after": after, "p_limit": 500}
        page = _call(client, function, asked)
        found += page[items]
        after = page["next"]
        if after is None:
            return found


def _call(client: Client, function: str, asked: Json) -> Json:
    return cast("Json", client.rpc(function, asked).execute().data)


def _photo(item: Json) -> Json:
    keys = ("face_id", "bbox", "quality_score", "person_id")
    faces = [
        {key: face[key] for key in keys} | {"bbox": {side: face["bbox"][side] for side in "xywh"}}
        for face in item["faces"]
    ]
    error = {"error": item["error"]} if item["error"] else {}
    return {"status": item["status"], "faces": faces} | error


def _person(person: Json, photos: Mapping[str, Json]) -> Json:
    keys = ("person_id", "name", "cluster_label", "face_count", "representative_face_id")
    seen_in = [name for name, photo in photos.items() if _shows(photo, person["person_id"])]
    known = {key: person[key] for key in (*keys, "avg_quality")}
    return known | {"photos": seen_in}


def _shows(photo: Json, person_id: str) -> bool:
    return any(face["person_id"] == person_id for face in photo["faces"])
