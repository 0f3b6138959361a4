"""The demo's event is one for each folder, and it is kept: names stay, photos follow the folder."""

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from local.demo.event import event_status, read_event, upload_event
from local.demo.run import _event_of
from local.processes.stack import Stack, StackOptions
from tests.data import any_pack, photo_of_six

pytestmark = pytest.mark.slow
Json = dict[str, Any]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    options = StackOptions(
        environ={"MODEL_DIR": str(any_pack())},
        settings={"quiet_period_seconds": 0, "callbacks": False},
        sweep_seconds=1,
    )
    with Stack(options) as running:
        yield running


def fill(folder: Path, *names: str) -> dict[str, Path]:
    """Photos of six people, each of other bytes."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(photo_of_six() + name.encode())
    return {name: folder / name for name in names}


def found(stack: Stack, event: str, photos: dict[str, Path]) -> Json:
    client = stack.client()
    names = upload_event(client, event, photos, lambda: None)
    deadline = time.monotonic() + 120
    while not event_status(client, event)["done"]:
        assert time.monotonic() < deadline, event_status(client, event)
        time.sleep(0.1)
    return read_event(client, event, names)


def test_a_folder_is_one_event_by_its_path(tmp_path: Path):
    assert _event_of(str(tmp_path)) == _event_of(f"{tmp_path}/x/..")
    assert _event_of(str(tmp_path)) != _event_of(f"{tmp_path}/x")
    assert _event_of("") == "sample"


def test_names_stay_and_photos_follow_the_folder(stack: Stack, tmp_path: Path):
    client: Any = stack.client()
    event = "kept"
    first = found(stack, event, fill(tmp_path / "a", "1.jpg", "2.jpg", "3.jpg", "4.jpg"))
    assert len(first["people"]) == 6
    ann = first["people"][0]["person_id"]
    client.rpc("memoria_rename_person", {"p_person_id": ann, "p_name": "Ann"}).execute()
    upload = client.storage.from_("photos")
    upload.upload(f"{event}/by the app.jpg", photo_of_six() + b"app")
    ids = {"p_media_id": "by the app", "p_event_id": event, "p_bucket": "photos"}
    client.rpc("memoria_enqueue", ids | {"p_path": f"{event}/by the app.jpg"}).execute()

    photos = fill(tmp_path / "a", "1.jpg", "2.jpg", "3.jpg", "5.jpg")
    photos["1.jpg"].write_bytes(photo_of_six() + b"another picture of the same name")
    photos["5.jpg"].write_bytes(photo_of_six() + bytes(500_000))  # large enough for a preview
    again = found(stack, event, photos)

    assert sorted(again["photos"]) == ["1.jpg", "2.jpg", "3.jpg", "5.jpg"]
    assert {photo["status"] for photo in again["photos"].values()} == {"completed"}
    people = client.rpc("memoria_people", {"p_event_id": event}).execute().data["people"]
    assert [p["person_id"] for p in people if p["name"] == "Ann"] == [ann]
    assert {person["person_id"] for person in again["people"]} == {
        person["person_id"] for person in first["people"]
    }
    media = client.rpc("memoria_media", {"p_event_id": event}).execute().data["media"]
    assert len(media) == 5  # with the one that the app added
    (preview,) = [item["preview_path"] for item in media if item["preview_path"]]
    assert max(Image.open(io.BytesIO(upload.download(preview))).size) <= 1024
    stored = upload.list(f"{event}/demo")
    assert len([item for item in stored if item["id"]]) >= 4
