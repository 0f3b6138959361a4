"""The judge on photos nobody tuned on: what counts as found, false, joined and split."""

import json

import numpy as np

from benchmarks import outsiders
from benchmarks.outsiders import FALSE, UNNAMED, Judged, together
from memoria.faces import Face


def a_face(x: float, y: float, size: float = 0.2) -> Face:
    """A box around a point."""
    box = np.array([x - size / 2, y - size / 2, size, size], np.float32)
    return Face(box, 0.9, 1.0, np.zeros((5, 2), np.float32), np.zeros(512, np.float32))


def test_a_face_is_found_where_a_box_holds_its_point_and_only_once() -> None:
    judged = Judged()
    label = {"faces": [[0.3, 0.3, 1], [0.8, 0.8, None], [0.32, 0.3, 2]], "unclear": [[0.5, 0.9]]}
    found = [a_face(0.3, 0.31), a_face(0.8, 0.8), a_face(0.5, 0.9), a_face(0.1, 0.9)]
    judged.add("a.jpg", label, found)
    assert judged.person == [1, UNNAMED, UNNAMED, FALSE]
    assert judged.missed == ["a.jpg at 0.32 0.30"]
    assert judged.false == ["a.jpg, score 0.90"]


def test_of_two_boxes_the_nearer_one_is_the_face() -> None:
    judged = Judged()
    found = [a_face(0.34, 0.3, 0.3), a_face(0.3, 0.3)]
    judged.add("a.jpg", {"faces": [[0.3, 0.3, 1]], "unclear": []}, found)
    assert judged.person == [FALSE, 1]


def test_people_of_different_sets_stay_apart_in_one_event() -> None:
    one = Judged(photos=2, person=[1, 2, UNNAMED], photo=[1, 2, 2])
    other = Judged(photos=1, person=[1, FALSE], photo=[1, 1])
    whole = together({"one": one, "other": other})
    assert whole.person == [1, 2, UNNAMED, 3, FALSE]
    assert whole.photo == [1, 2, 2, 3, 3]


def test_mistakes_count_groups_people_and_what_is_no_face() -> None:
    judged = Judged(person=[1, 1, 2, 1, FALSE, FALSE, UNNAMED])
    labels = np.array([0, 1, 0, -1, 1, -1, 1])
    assert outsiders.mistakes(labels, judged) == (1, 1, 1)


def test_every_label_is_a_point_of_the_photo() -> None:
    for label in json.loads(outsiders.LABELS.read_text()).values():
        points = [point[:2] for point in label["faces"] + label["unclear"]]
        assert all(0 <= value <= 1 for point in points for value in point)
        assert all(who is None or who > 0 for _, _, who in label["faces"])
