"""What the demo says of an event in which it finds nobody, and how it counts."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from local.demo import run
from local.demo.gallery import write_gallery
from local.demo.report import show

FACE = {
    "face_id": "f", "bbox": {"x": 0.1, "y": 0.1, "w": 0.2, "h": 0.2}, "quality_score": 1,
    "person_id": None,
}  # fmt: skip
FACES = {"status": "completed", "faces": [FACE, FACE]}
EMPTY: dict[str, Any] = {"status": "completed", "faces": []}
FAILED = {"status": "failed", "faces": [], "error": {"message": "no photo"}}
FEW = "a person needs 4 photos (MIN_CLUSTER_SIZE)"
NO_FACES = "no faces were found in these photos"
REASONS = ((FACES, FEW), (EMPTY, NO_FACES), (FAILED, "no photo could be looked at"))


def told(photos: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """On the terminal and on the page, where four faces make a person."""
    monkeypatch.setenv("MIN_CLUSTER_SIZE", "4")
    answer = {"event_id": "e", "model": "m", "photos": photos, "people": []}
    console = Console(width=200, record=True)
    show(answer, folder, console)
    page = folder / "index.html"
    files = dict.fromkeys(photos, folder / "nowhere")
    run._write_page(answer, files, page, 1, Console(quiet=True))
    return console.export_text(), page.read_text()


@pytest.mark.parametrize(("photo", "reason"), REASONS)
def test_why_nobody_is_found_is_said(
    photo: Any, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    terminal, page = told({"a.jpg": photo}, tmp_path, monkeypatch)
    assert reason in terminal
    assert reason in page
    assert "quality" not in terminal  # no empty table


def test_one_is_not_counted_as_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    terminal, _ = told({"a.jpg": FACES}, tmp_path, monkeypatch)
    assert "0 people, 2 faces, 2 of them not assigned to a person, 1 photo, model m" in terminal


def test_photos_that_failed_are_counted_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    photos = {"a.jpg": EMPTY, "b.jpg": FAILED, "c.jpg": FAILED}
    terminal, _ = told(photos, tmp_path, monkeypatch)
    assert "0 people, 0 faces, 3 photos, 2 of them failed, model m" in terminal


def test_the_page_of_an_empty_event_gives_no_reason(tmp_path: Path):
    empty = {"event_id": "e", "model": None, "photos": {}, "people": []}
    write_gallery(empty, {}, tmp_path / "index.html")
    assert "Nobody was found" not in (tmp_path / "index.html").read_text()
