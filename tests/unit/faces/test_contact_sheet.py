from typing import Any

import numpy as np
import pytest

from memoria.faces.contact_sheet import CLOSE, GLANCE, Nearness, seen_near
from memoria.faces.geometry import NOTHING, Detections
from tests.unit.faces.blobs import BlobDetector, with_blob


def hints(*places: tuple[float, float, float]) -> Detections:
    """Left, top and side of each, with nonsense for landmarks."""
    boxes = np.array([(x, y, x + side, y + side) for x, y, side in places], np.float32)
    count = len(places)
    return Detections(boxes, np.full(count, 0.1, np.float32), np.zeros((count, 5, 2), np.float32))


def look(image: Any, found: Detections, near: Nearness = CLOSE, **options: Any) -> Detections:
    return seen_near(BlobDetector(), image, found, near, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("near", [CLOSE, GLANCE])
def test_what_is_seen_lies_where_the_face_is(near: Nearness, quarters: int) -> None:
    image = with_blob(np.zeros((400, 600, 3), np.uint8), 200, 100, 40)
    face = look(image, hints((198, 103, 42)), near, quarters=quarters)
    assert np.abs(face.boxes - [200, 100, 240, 140]).max() < 2
    assert face.scores == pytest.approx([0.3 if quarters else 0.9])


@pytest.mark.parametrize("lies", range(4))
def test_a_face_is_upright_in_the_one_way_that_undoes_how_it_lies(lies: int) -> None:
    image = with_blob(np.zeros((400, 600, 3), np.uint8), 200, 100, 40, quarters=lies)
    looks = [look(image, hints((200, 100, 40)), quarters=quarters) for quarters in range(4)]
    best = int(np.argmax([float(face.scores[0]) for face in looks]))
    assert best == -lies % 4
    eyes, mouth = (looks[best].landmarks[0, part].mean(axis=0) for part in ([0, 1], [3, 4]))
    down = {0: (0, 1), 1: (-1, 0), 2: (0, -1), 3: (1, 0)}[lies]
    assert np.sign(np.round(mouth - eyes)).tolist() == list(down)


def test_rows_stay_in_order_and_nothing_scores_nothing() -> None:
    image = with_blob(np.zeros((400, 600, 3), np.uint8), 200, 100, 40)
    found = hints((20, 20, 40), (200, 100, 40), (500, 300, 20))
    seen = look(image, found)
    assert seen.scores == pytest.approx([0, 0.9, 0])
    np.testing.assert_array_equal(seen.boxes[0], found.boxes[0])
    assert len(look(image, NOTHING)) == 0


def test_what_lies_beside_the_middle_of_a_view_is_somebody_else() -> None:
    image = with_blob(np.zeros((400, 600, 3), np.uint8), 200, 100, 40)
    assert look(image, hints((225, 100, 40))).scores == pytest.approx([0])
    assert look(image, hints((210, 110, 18))).scores == pytest.approx([0])


@pytest.mark.parametrize("fixed", [None, (640, 640), (320, 256)])
def test_many_fit_on_few_canvases_of_the_detectors_sizes(fixed: tuple[int, int] | None) -> None:
    image = np.zeros((400, 600, 3), np.uint8)
    places = [(x, y, 10) for y in range(10, 390, 40) for x in range(10, 590, 40)]
    for x, y, side in places:
        with_blob(image, x, y, side)
    eye = BlobDetector(fixed)
    seen = seen_near(eye, image, hints(*places), CLOSE)  # type: ignore[arg-type]
    assert seen.scores == pytest.approx([0.9] * len(places))
    width, height = fixed or (640, 640)
    assert len(eye.shown) == -(-len(places) // ((width // 64) * (height // 64)))
    assert all(w <= width and h <= height for w, h in eye.shown)


def test_a_face_at_the_photos_edge_is_seen_too() -> None:
    image = with_blob(np.zeros((400, 600, 3), np.uint8), 0, 0, 40)
    assert look(image, hints((0, 0, 40))).boxes == pytest.approx(np.array([[0, 0, 40, 40]]), abs=2)
