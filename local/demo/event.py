"""An event as an app sees it: photos up, faces and people down, through the public API alone."""

import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

from supabase import Client

Json = dict[str, Any]
BUCKET = "photos"


def upload_event(
    client: Client, event_id: str, photos: Mapping[str, Path], uploaded: Callable[[], None]
) -> dict[str, str]:
    """Upload and enqueue every photo -> names by media id; calls ``uploaded`` after each."""
    client.storage.create_bucket(BUCKET)
    client.rpc("memoria_create_event", {"p_event_id": event_id}).execute()
    names = {str(uuid.uuid4()): name for name in photos}

    def upload(media_id: str) -> None:
        photo = photos[names[media_id]]
        path = f"{event_id}/{media_id}{photo.suffix.lower()}"
        client.storage.from_(BUCKET).upload(path, photo.read_bytes())
        ids = {"p_media_id": media_id, "p_event_id": event_id}
        client.rpc("memoria_enqueue", ids | {"p_bucket": BUCKET, "p_path": path}).execute()
        uploaded()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upload, names))
    return names


def event_status(client: Client, event_id: str) -> Json:
    """How far the event is; see ``memoria_event_status``."""
    return _about(client, "memoria_event_status", event_id)


def read_event(client: Client, event_id: str, names: Mapping[str, str]) -> Json:
    """The answer of the demo, ``people.json``, from ``memoria_media`` and ``memoria_people``."""
    media = _all(client, "memoria_media", event_id, "media")
    people = _all(client, "memoria_people", event_id, "people")
    people.sort(key=lambda person: person["cluster_label"])  # ties of counts come in any order
    photos = {names[item["media_id"]]: _photo(item) for item in media}
    photos = dict(sorted(photos.items()))
    return {
        "event_id": event_id,
        "model": next((item["model"] for item in media if item["model"]), None),
        "photos": photos,
        "people": [_person(person, photos) for person in people],
    }


def _all(client: Client, function: str, event_id: str, items: str) -> list[Json]:
    """Every item of a list that is read in pages."""
    found: list[Json] = []
    after: Any = None
    while True:
        asked = {"p_event_id": event_id, "p_after": after, "p_limit": 500}
        page = cast("Json", client.rpc(function, asked).execute().data)
        found += page[items]
        after = page["next"]
        if after is None:
            return found


def _about(client: Client, function: str, event_id: str) -> Json:
    return cast("Json", client.rpc(function, {"p_event_id": event_id}).execute().data)


def _photo(item: Json) -> Json:
    keys = ("face_id", "bbox", "quality_score", "person_id")
    faces = [
        {key: face[key] for key in keys} | {"bbox": {side: face["bbox"][side] for side in "xywh"}}
        for face in item["faces"]
    ]
    error = {"error": item["error"]} if item["error"] else {}
    return {"status": item["status"], "faces": faces} | error


def _person(person: Json, photos: Mapping[str, Json]) -> Json:
    keys = ("person_id", "cluster_label", "face_count", "representative_face_id", "avg_quality")
    seen_in = [name for name, photo in photos.items() if _shows(photo, person["person_id"])]
    return {key: person[key] for key in keys} | {"photos": seen_in}


def _shows(photo: Json, person_id: str) -> bool:
    return any(face["person_id"] == person_id for face in photo["faces"])
