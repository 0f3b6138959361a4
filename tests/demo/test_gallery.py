"""The page: self-contained, escaped, and as large as it may be."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from local.demo.gallery import write_gallery

NASTY = '<script>alert("x")</script> & "co".jpg'


def answer(names: list[str]) -> dict[str, Any]:
    face = {
        "face_id": "f1",
        "bbox": {"x": 0.25, "y": 0.05, "w": 0.25, "h": 0.3},
        "quality_score": 0.9,
        "person_id": "p1",
    }
    stranger = face | {"face_id": "f2", "person_id": None}
    person = {
        "person_id": "p1",
        "name": "Ann <b>",
        "cluster_label": 0,
        "face_count": len(names),
        "representative_face_id": "f1",
        "avg_quality": 0.9,
        "photos": names,
    }
    photos: dict[str, Any] = {
        name: {"status": "completed", "faces": [face, stranger]} for name in names
    }
    photos["broken.jpg"] = {
        "status": "failed",
        "faces": [],
        "error": {"code": "unreadable_media", "message": "it is <b>no</b> photo"},
    }
    return {"event_id": "e", "model": "m", "photos": photos, "people": [person]}


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str, kind: str = "") -> list[dict[str, str | None]]:
        return [a for t, a in self.tags if t == tag and kind in (a.get("class") or "").split(" ")]


@pytest.fixture
def page(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (60, 80, 3), np.uint8)
    photo = tmp_path / "a.png"
    Image.fromarray(pixels).resize((640, 480)).save(photo)
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    files = {NASTY: photo, "b.png": photo, "broken.jpg": tmp_path / "broken.jpg"}
    write_gallery(answer([NASTY, "b.png"]), files, tmp_path / "index.html", seconds=1.5)
    return (tmp_path / "index.html").read_text()


def test_every_picture_is_a_data_uri_and_nothing_is_fetched(page: str):
    images = Elements(page).all("img")
    assert len(images) == 3  # a crop and two photos
    assert all((image["src"] or "").startswith("data:image/webp;base64,") for image in images)
    text = re.sub(r"data:image/webp;base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.search(r"https?://|//cdn|<link|@import|url\(", text)


def test_names_and_messages_cannot_become_markup(page: str):
    assert len(Elements(page).all("script")) == 1
    assert "<b>no</b>" not in page
    assert "&lt;b&gt;no&lt;/b&gt;" in page


def test_boxes_are_where_the_faces_are_and_carry_their_person(page: str):
    elements = Elements(page)
    (box, _) = elements.all("span", "p1")
    assert "left:25.00%;top:5.00%;width:25.00%;height:30.00%" in (box["style"] or "")
    assert len(elements.all("span", "alone")) == 2
    assert len(elements.all("input", "name")) == 1


def test_a_name_given_in_the_app_stands_in_its_field_and_on_the_boxes(page: str):
    [field] = Elements(page).all("input", "name")
    assert field["value"] == "Ann <b>"
    assert page.count('<b data-person="1">Ann &lt;b&gt;</b>') == 2


def test_one_figure_of_photos_and_how_many_failed(page: str):
    assert "<p>2 photos · 1 failed · 4 faces · m · 1.5 s</p>" in page
    assert "<small>2 photos</small>" in page  # of everyone
    assert "<small>2 faces</small>" in page  # of one, perhaps several in a photo


def test_an_event_without_anybody_is_a_page_too(tmp_path: Path):
    empty = {"event_id": "e", "model": None, "photos": {}, "people": []}
    write_gallery(empty, {}, tmp_path / "index.html")
    assert "0 people" in (tmp_path / "index.html").read_text()


def test_many_photos_are_embedded_smaller(tmp_path: Path):
    photo = tmp_path / "a.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    Image.fromarray(noise).resize((800, 600), Image.Resampling.BICUBIC).save(photo)
    names = [f"{number}.jpg" for number in range(8)]
    files = dict.fromkeys([*names, "broken.jpg"], photo)
    for page_bytes in (10_000_000, 250_000):
        page = tmp_path / f"{page_bytes}.html"
        write_gallery(answer(names), files, page, page_bytes=page_bytes)
        assert page.stat().st_size < page_bytes + 30_000
    assert Elements((tmp_path / "10000000.html").read_text()).all("img")[1]["width"] == "800"
