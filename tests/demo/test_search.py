"""Whose face the demo searches with."""

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from local.demo.report import show_search
from local.demo.search import _best_face


def answer(*people: tuple[str | None, float]) -> dict[str, Any]:
    """One photo for each person, with a face of that quality."""
    return {
        "photos": {
            f"{n}.jpg": {"faces": [{"face_id": f"f{n}", "quality_score": quality}]}
            for n, (_, quality) in enumerate(people, start=1)
        },
        "people": [
            {"name": name, "representative_face_id": f"f{n}"}
            for n, (name, _) in enumerate(people, start=1)
        ],
    }


def best_face(folder: Path, found: dict[str, Any], gone: str = "") -> tuple[str, str, Any] | None:
    photos = {name: folder / name for name in found["photos"]}
    for name, photo in photos.items():
        if name != gone:
            photo.touch()
    return _best_face(found, photos)


def test_the_best_of_all_faces_is_searched_with(tmp_path: Path):
    chosen = best_face(tmp_path, answer((None, 0.2), (None, 0.9), (None, 0.5)))
    assert chosen is not None
    assert chosen[:2] == ("person 2", "2.jpg")
    assert best_face(tmp_path, answer()) is None


def test_a_photo_that_is_gone_is_not_searched_with(tmp_path: Path):
    chosen = best_face(tmp_path, answer((None, 0.2), (None, 0.9)), gone="2.jpg")
    assert chosen is not None
    assert chosen[:2] == ("person 1", "1.jpg")


def test_who_has_a_name_is_called_by_it(tmp_path: Path):
    chosen = best_face(tmp_path, answer((None, 0.2), ("Ann\x1b[2J", 0.9)))
    assert chosen is not None
    console = Console(width=200, file=io.StringIO(), record=True)
    show_search({"person": chosen[0], "photo": "a.jpg", "found": 3}, console)
    assert r"the face of Ann\x1b[2J, cut out of a.jpg" in console.export_text()
