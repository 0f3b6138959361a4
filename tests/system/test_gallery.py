"""The gallery in a real browser."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from local.demo.folders import find_photos
from local.demo.gallery import write_gallery
from local.demo.sample_event import SHOTS, write_sample_event

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt-get install chromium"),
]

# two people: one in the first three photos, one in the first alone; a stranger in the fourth
ANN, BOB = ({"x": 0.05, "y": 0.3, "w": 0.1, "h": 0.15}, {"x": 0.55, "y": 0.05, "w": 0.1, "h": 0.2})


def answer(names: list[str]) -> dict[str, object]:
    def face(face_id: str, bbox: object, person_id: str | None) -> dict[str, object]:
        return {"face_id": face_id, "bbox": bbox, "quality_score": 0.9, "person_id": person_id}

    faces: dict[str, list[dict[str, object]]] = {name: [] for name in names}
    for number, name in enumerate(names[:3]):
        faces[name].append(face(f"ann-{number}", ANN, "ann"))
    faces[names[0]].append(face("bob-0", BOB, "bob"))
    faces[names[3]].append(face("someone", BOB, None))
    people = [
        {"person_id": person_id, "name": None, "cluster_label": label, "face_count": len(photos)}
        | {"representative_face_id": f"{person_id}-0", "avg_quality": 0.9, "photos": photos}
        for label, (person_id, photos) in enumerate((("ann", names[:3]), ("bob", names[:1])))
    ]
    photos = {name: {"status": "completed", "faces": faces[name]} for name in names}
    return {"event_id": "e", "model": "m", "photos": photos, "people": people}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    write_sample_event(folder / "photos")
    photos = find_photos(folder / "photos")
    write_gallery(answer(list(photos)), photos, folder / "index.html", seconds=1)
    return folder / "index.html"


def browse(page: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    return subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-dev-shm-usage", "--hide-scrollbars", "--enable-logging=stderr",
         f"--user-data-dir={page.parent / 'profile'}", *flags, page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip


def after(page: Path, script: str) -> dict[str, object]:
    """What a script that runs after the page's own puts into ``told``."""
    scripted = page.with_name("scripted.html")
    told = f"<script>const told = {{}};{script};document.title = JSON.stringify(told)</script>"
    scripted.write_text(page.read_text().replace("</body>", f"{told}</body>"))
    done = browse(scripted, "--dump-dom")
    assert "CONSOLE" not in done.stderr, done.stderr
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None
    answer: dict[str, object] = json.loads(html.unescape(title[1]))
    return answer


def test_it_shows_every_photo_and_loads_nothing(page: Path):
    told = after(
        page,
        "const data = url => url.startsWith('data:'); told.photos = visible().length;"
        "told.pictures = [...document.images].filter(image => data(image.src)).length;"
        "told.fetched = performance.getEntriesByType('resource').filter(r => !data(r.name)).length",
    )
    assert told == {"photos": len(SHOTS), "pictures": len(SHOTS) + 2, "fetched": 0}


def test_choosing_a_person_leaves_their_photos_and_their_boxes(page: Path):
    count = "[...document.querySelectorAll('main .box')].filter(b => b.offsetParent).length"
    told = after(
        page,
        "for (const id of ['everyone', 'p1', 'p2', 'nobody']) {"
        "  document.getElementById(id).checked = true;"
        f"  told[id] = [visible().length, {count}] }}",
    )
    assert told == {"everyone": [len(SHOTS), 5], "p1": [3, 3], "p2": [1, 1], "nobody": [1, 1]}


def test_the_arrow_keys_walk_through_the_photos_of_the_person_chosen(page: Path):
    press = "dialog.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}))"
    told = after(
        page,
        "document.getElementById('p1').checked = true;"
        "show(visible()[0]); told.names = [];"
        "for (let i = 0; i < 4; i++) {"
        f"  told.names.push(dialog.querySelector('figcaption').textContent); {press} }}"
        "dialog.querySelector('.photo').click(); told.open = dialog.open",
    )
    names = told["names"]
    assert isinstance(names, list)
    assert len(set(names)) == 3
    assert names[3] == names[0]
    assert told["open"] is False


def test_a_name_that_is_typed_stands_on_every_box(page: Path):
    told = after(
        page,
        "const input = document.querySelector('input.name'); input.value = 'Ann <b>';"
        "input.dispatchEvent(new Event('input'));"
        "const labels = document.querySelectorAll('b[data-person=\"1\"]');"
        "told.labels = [...labels].map(label => label.textContent);"
        "told.tags = document.querySelectorAll('b b').length",
    )
    assert told == {"labels": ["Ann <b>"] * 3, "tags": 0}


def test_a_name_of_the_database_stands_before_one_that_this_browser_kept(page: Path):
    """The second person has a name; both were called otherwise here once."""
    photos = find_photos(page.parent / "photos")
    answered = answer(list(photos))
    answered["people"][1]["name"] = "Bob"  # type: ignore[index]
    named = page.with_name("named.html")
    write_gallery(answered, photos, named)
    kept = "<script>localStorage.ann = localStorage.bob = 'Old'</script>"
    named.write_text(named.read_text().replace("<body>", f"<body>{kept}"))
    told = after(
        named,
        "told.names = [...names].map(name => name.value);"
        "told.fixed = [...names].map(name => name.readOnly)",
    )
    assert told == {"names": ["Old", "Bob"], "fixed": [False, True]}


@pytest.mark.parametrize("size", ["1400,1000", "420,900"])
def test_it_is_painted_and_never_wider_than_the_window(page: Path, size: str):
    shot = page.with_name(f"{size}.png")
    browse(page, f"--window-size={size}", f"--screenshot={shot}")
    with Image.open(shot) as picture:
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 5000
    told = after(page, "told.overflow = document.documentElement.scrollWidth > innerWidth")
    assert told == {"overflow": False}
