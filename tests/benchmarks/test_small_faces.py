"""The command that prints recall by size of face, on two photos of a handful of people."""

import numpy as np
import pytest

from benchmarks import small_faces
from benchmarks.find_faces import PACK, Table
from benchmarks.scenes import JUDGING, Picture, cast, collage, scene
from memoria.faces import Engine
from tests.data import PHOTOS, PORTRAITS, SITCOM, SMALL_PACK, needs

pytestmark = needs(SMALL_PACK, PORTRAITS, PHOTOS, SITCOM)


@pytest.fixture(scope="module")
def kinds() -> small_faces.Modes:
    return small_faces.modes(PACK, threads=2)


@pytest.fixture(scope="module")
def engine(kinds: small_faces.Modes) -> Engine:
    return kinds["auto"][0]


def test_faces_of_two_percent_are_found(
    kinds: small_faces.Modes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_faces, "SHARES", (0.02,))
    people = cast(kinds["auto"][0], JUDGING, every=20)
    table = Table()
    small_faces.small_faces(kinds, people, table, 1, [(1500, 2000)])
    lines = capsys.readouterr().out.splitlines()
    assert [line[:3] for line in lines[:2]] == ["ok ", "ok "], lines
    assert "passes" in lines[2]


def test_a_tile_of_a_collage_keeps_its_faces_and_their_vectors(engine: Engine) -> None:
    people = cast(engine, JUDGING, every=60).singles
    page = collage(np.random.default_rng(0), people)
    assert len(page.boxes) == len(page.vectors) == len(people)
    for box, vector in zip(page.boxes.astype(int), page.vectors, strict=True):
        cut = page.image[box[1] : box[3], box[0] : box[2]]
        looks = [engine.find_faces(np.rot90(cut, turn).copy()) for turn in range(4)]
        assert max(float(f.embedding @ vector) for faces in looks for f in faces) > 0.5


def test_faces_of_a_scene_are_as_large_as_asked_and_apart(engine: Engine) -> None:
    people = cast(engine, JUDGING, every=60)
    photo = scene(np.random.default_rng(0), (900, 1200), [], people.singles * 10, 0.05)
    assert photo.sizes == pytest.approx(np.full(len(photo.sizes), 45), rel=0.05)
    centres = photo.boxes.reshape(-1, 2, 2).mean(axis=1)
    apart = np.abs(centres[:, None] - centres).max(axis=2) + 1e6 * np.eye(len(centres))
    assert apart.min() > 45


def test_nobody_is_left_out_of_a_picture_that_is_turned_and_scaled() -> None:
    boxes = np.array([[10, 20, 30, 50]], np.float32)
    picture = Picture(np.zeros((60, 100, 3), np.uint8), boxes, np.zeros((1, 512), np.float32))
    picture.image[20:50, 10:30] = 255
    for quarters in range(4):
        turned = picture.turned(quarters).scaled(2)
        x1, y1, x2, y2 = turned.boxes[0].astype(int)
        assert turned.image[y1 + 4 : y2 - 4, x1 + 4 : x2 - 4].min() > 200
        assert turned.image.astype(int).sum() == pytest.approx(4 * picture.image.sum(), rel=0.1)
