"""The demo's event is one for each folder, and it is kept: names stay, photos follow the folder."""

import io
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pillow_heif
import pytest
from PIL import Image
from rich.console import Console

from local.demo import run
from local.demo.event import (
    LARGE_BYTES,
    Photos,
    event_status,
    fetch_added,
    media_of,
    read_event,
    upload_event,
)
from local.demo.report import show
from local.demo.search import search_for
from local.demo.system import System, taken_home
from local.processes.stack import Stack, StackOptions
from tests.data import SMALL_PACK, any_pack, photo_of_six

pytestmark = pytest.mark.slow
Json = dict[str, Any]
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    options = StackOptions(
        environ={"MODEL_DIR": str(any_pack()), "SEARCH": "on"},
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
    return read_event(client, event, media_of(client, event), names)


def test_a_folder_is_one_event_by_its_path(tmp_path: Path):
    assert run._event_of(str(tmp_path)) == run._event_of(f"{tmp_path}/x/..")
    assert run._event_of(str(tmp_path)) != run._event_of(f"{tmp_path}/x")
    assert run._event_of("") == "sample"


def test_who_runs_beside_another_is_told_which_and_what_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MEMORIA_STATE", str(tmp_path))
    console = Console(width=1000, record=True, file=io.StringIO())
    home = taken_home(tmp_path / "out", console)
    assert home
    assert taken_home(tmp_path / "out", console) is None
    home.leave()
    told = console.export_text()
    assert f"process {os.getpid()} serves from {tmp_path} already. " in told
    assert "forgets its own in the end. To keep them, end both and run it again" in told
    assert f"writes into {tmp_path / 'out'}" in told


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
    photos["5.jpg"].write_bytes(_as_heic(photo_of_six()))  # small, and not shown by browsers
    again = found(stack, event, photos)

    assert list(again["photos"]) == ["1.jpg", "2.jpg", "3.jpg", "5.jpg", f"{event}/by the app.jpg"]
    assert {photo["status"] for photo in again["photos"].values()} == {"completed"}
    people = client.rpc("memoria_people", {"p_event_id": event}).execute().data["people"]
    assert [p["person_id"] for p in people if p["name"] == "Ann"] == [ann]
    for field in ("person_id", "name"):
        assert [p[field] for p in again["people"]] == [p[field] for p in people]
    assert {person["person_id"] for person in again["people"]} == {
        person["person_id"] for person in first["people"]
    }
    media = client.rpc("memoria_media", {"p_event_id": event}).execute().data["media"]
    assert len(media) == 5  # with the one that the app added
    (preview,) = [item["preview_path"] for item in media if item["preview_path"]]
    assert max(Image.open(io.BytesIO(upload.download(preview))).size) <= 1024
    stored = upload.list(f"{event}/demo")
    assert len([item for item in stored if item["id"]]) >= 4


def _as_heic(photo: bytes) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.open(io.BytesIO(photo))).save(file, quality=85)
    assert len(file.getvalue()) < LARGE_BYTES
    return file.getvalue()


def add_by_the_app(stack: Stack, event: str, name: str = "added") -> None:
    client: Any = stack.client()
    path = f"{event}/{name}.jpg"
    client.storage.from_("photos").upload(path, photo_of_six() + name.encode())
    ids = {"p_media_id": f"{event}-{name}", "p_event_id": event, "p_bucket": "photos"}
    client.rpc("memoria_enqueue", ids | {"p_path": path}).execute()


def test_all_that_is_told_counts_what_the_app_added(stack: Stack, tmp_path: Path):
    """Also where it is the cover of everybody, and where somebody was hidden in the app."""
    client: Any = stack.client()
    event, photos = "covered", fill(tmp_path / "a", "1.jpg", "2.jpg", "3.jpg")
    found(stack, event, photos)
    add_by_the_app(stack, event)
    for face in found(stack, event, photos)["photos"][f"{event}/added.jpg"]["faces"]:
        ids = {"p_person_id": face["person_id"], "p_face_id": face["face_id"]}
        client.rpc("memoria_set_cover", ids).execute()
    hidden = {"p_person_id": face["person_id"], "p_hidden": True}
    client.rpc("memoria_hide_person", hidden).execute()

    console = Console(width=200, record=True, file=io.StringIO())
    answer, added = run._find_people(System(stack, NOBODY), event, photos, tmp_path, console)
    assert re.findall(r"\d+/\d+", console.export_text(clear=False)) == ["3/3", "4/4"]
    assert added.keys() == {f"{event}/added.jpg"}
    photos |= added
    searched = search_for(answer, photos, stack)
    # a painted face that is cut out is another one to the pack that reads painted faces
    real = {"found": 4} if SMALL_PACK.exists() else {}
    assert searched == {"photo": f"{event}/added.jpg", "person": ANY, "found": ANY} | real
    run._write_page(answer, photos, tmp_path / "index.html", 1, console)
    show(answer, tmp_path, console)
    assert (
        "5 people, 24 faces, 0 of them not assigned to a person, 4 photos" in console.export_text()
    )
    page = (tmp_path / "index.html").read_text()
    assert "<p>4 photos · 24 faces · " in page
    assert page.count("<small>4 faces</small>") == 5
    assert page.count('alt="Face of person ') == 5


def test_photos_that_go_and_come_while_they_are_read_end_no_run(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    event, photos = "meanwhile", fill(tmp_path / "a", "1.jpg", "2.jpg", "3.jpg")
    found(stack, event, photos)
    add_by_the_app(stack, event)

    def meanwhile(*given: Any) -> Photos:
        stack.client().storage.from_("photos").remove([f"{event}/added.jpg"])
        add_by_the_app(stack, event, "later")
        return fetch_added(*given)

    monkeypatch.setattr(run, "fetch_added", meanwhile)
    console = Console(quiet=True)
    answer, added = run._find_people(System(stack, NOBODY), event, photos, tmp_path, console)
    assert answer["photos"].keys() - photos.keys() == added.keys() == {f"{event}/added.jpg"}
    photos |= added
    searched = search_for(answer, photos, stack)
    assert searched
    assert searched["photo"] in ("1.jpg", "2.jpg", "3.jpg")
    run._write_page(answer, photos, tmp_path / "index.html", 1, console)
    assert "<p>3 photos · " in (tmp_path / "index.html").read_text()


def test_somebody_named_whose_faces_are_all_gone_ends_no_later_run(stack: Stack, tmp_path: Path):
    client: Any = stack.client()
    event, photos = "emptied", fill(tmp_path / "a", "1.jpg", "2.jpg", "3.jpg")
    first = found(stack, event, photos)
    ann = first["people"][0]["person_id"]
    client.rpc("memoria_rename_person", {"p_person_id": ann, "p_name": "Ann"}).execute()
    for photo in first["photos"].values():
        for face in photo["faces"]:
            if face["person_id"] == ann:
                ids = {"p_face_id": face["face_id"], "p_person_id": ann}
                client.rpc("memoria_reject_face", ids).execute()
    again = found(stack, event, photos)
    assert again["people"][-1] | {"person_id": ann, "face_count": 0} == again["people"][-1]
    show(again, tmp_path, Console(quiet=True))
    run._write_page(again, photos, tmp_path / "index.html", 1, Console(quiet=True))
