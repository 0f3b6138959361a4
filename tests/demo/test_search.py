"""Whose face the demo searches with."""

import io
from typing import Any

from rich.console import Console

from local.demo import run
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


def test_the_best_of_all_faces_is_searched_with():
    chosen = _best_face(answer((None, 0.2), (None, 0.9), (None, 0.5)))
    assert chosen is not None
    assert chosen[:2] == ("person 2", "2.jpg")
    assert _best_face(answer()) is None


def test_who_has_a_name_is_called_by_it():
    chosen = _best_face(answer((None, 0.2), ("Ann\x1b[2J", 0.9)))
    assert chosen is not None
    console = Console(width=200, file=io.StringIO(), record=True)
    run.show_search({"person": chosen[0], "photo": "a.jpg", "found": 3}, console)
    assert r"the face of Ann\x1b[2J, cut out of a.jpg" in console.export_text()
