"""Faces and people in photos no constant was chosen on: ``python -m benchmarks.outsiders FOLDER``.

The labels are in outsiders.json, under each photo's SHA-256; docs/faces.md says where the photos
come from. Prints two tables, and every face that was missed or made up.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.find_faces import PACK
from benchmarks.grouping_peers import average_linkage, plain_hdbscan, without_small
from benchmarks.grouping_scores import scores
from benchmarks.grouping_sets import Event
from memoria.arrays import Index
from memoria.clustering import group_faces
from memoria.faces import Engine, Face, find_faces_in_photo, open_engine

LABELS = Path(__file__).with_suffix(".json")
UNNAMED, FALSE = -1, -2  # instead of a person: whose face is not known; no face


@dataclass
class Judged:
    """What was found in one set's photos."""

    photos: int = 0
    labelled: int = 0
    lowest: float = 1.0  # the detector's score of a labelled face
    missed: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)  # all that were found, also false ones
    person: list[int] = field(default_factory=list)  # of each of them, from 1 on; or UNNAMED, FALSE
    photo: list[int] = field(default_factory=list)

    def add(self, name: str, label: dict[str, Any], faces: list[Face]) -> None:
        """``label``: points x y in fractions, and who it is; the unclear count neither way."""
        self.photos += 1
        self.labelled += len(label["faces"])
        person = [UNNAMED] * len(faces)
        free = set(range(len(faces)))
        for x, y, who in label["faces"]:
            here = [i for i in free if _holds(faces[i], x, y)]
            if not here:
                self.missed.append(f"{name} at {x:.2f} {y:.2f}")
                continue
            nearest = min(here, key=lambda i: _off(faces[i], x, y))
            free.remove(nearest)
            self.lowest = min(self.lowest, faces[nearest].score)
            person[nearest] = UNNAMED if who is None else who
        for i in sorted(free):
            if not any(_holds(faces[i], x, y) for x, y in label["unclear"]):
                person[i] = FALSE
                self.false.append(f"{name}, score {faces[i].score:.2f}")
        self.faces += faces
        self.person += person
        self.photo += [self.photos] * len(faces)


def judge(engine: Engine, folder: Path) -> dict[str, Judged]:
    """Every labelled photo below the folder, set by set."""
    labels: dict[str, dict[str, Any]] = json.loads(LABELS.read_text())
    sets: dict[str, Judged] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if label := labels.pop(sha256(data).hexdigest(), None):
            judged = sets.setdefault(label["set"], Judged())
            judged.add(path.name, label, find_faces_in_photo(engine, data)[0])
    print(f"{sum(one.photos for one in sets.values())} photos; {len(labels)} are not there.\n")
    return sets


def together(sets: dict[str, Judged]) -> Judged:
    """One event of all sets, whose people are others in each."""
    whole = Judged()
    for one in sets.values():
        highest = max(whole.person, default=0)
        whole.faces += one.faces
        whole.person += [highest + who if who > 0 else who for who in one.person]
        whole.photo += [whole.photos + photo for photo in one.photo]
        whole.photos += one.photos
    return whole


def finding(sets: dict[str, Judged]) -> Iterator[str]:
    yield "| set | photos | faces | found | their lowest score | false |"
    yield "|---|---|---|---|---|---|"
    for name, one in sets.items():
        found = one.labelled - len(one.missed)
        numbers = f"{one.photos} | {one.labelled} | {found} | {one.lowest:.2f}"
        yield f"| {name} | {numbers} | {len(one.false)} |"


def grouping(sets: dict[str, Judged], model: str) -> Iterator[str]:
    """Average linkage gets the cut that is best on these very sets."""
    events = {name: _event(name, one) for name, one in sets.items() if len(set(_named(one))) > 1}
    cuts: dict[float, dict[str, Index]] = {}
    for name, event in events.items():
        for cut, labels in average_linkage(event):
            cuts.setdefault(cut, {})[name] = labels
    best = max(cuts, key=lambda cut: np.mean([_f(cuts[cut][n], sets[n]) for n in events]))
    yield (
        f"| set | people | their faces | group_faces | HDBSCAN | average linkage, {best:.2f} | "
        "the best there can be | joined | split | no faces |"
    )
    yield f"|---|{9 * '---|'}"
    for name, event in events.items():
        one = sets[name]
        ours = group_faces(
            event.rows, quality=event.quality, photo_ids=np.array(one.photo), model=model
        )
        told = (ours, plain_hdbscan(event), cuts[best][name], without_small(event.person))
        each = [_f(labels, one) for labels in told]
        cells = " | ".join(f"{value:.4f}" for value in each)
        counts = " | ".join(str(count) for count in mistakes(ours, one))
        named = _named(one)
        yield f"| {name} | {len(set(named))} | {len(named)} | {cells} | {counts} |"


def _event(name: str, one: Judged) -> Event:
    rows = np.stack([face.embedding for face in one.faces])
    quality = np.array([face.quality for face in one.faces], np.float32)
    return Event("outsiders", name, rows, np.array(one.person), quality)


def _named(one: Judged) -> list[int]:
    return [person for person in one.person if person > 0]


def _f(labels: Index, one: Judged) -> float:
    """B-cubed F over the faces of labelled people; the others took part in the grouping."""
    person = np.array(one.person)
    return scores(labels[person > 0], person[person > 0]).bcubed


def mistakes(labels: Index, one: Judged) -> tuple[int, int, int]:
    """Groups of several people, people in several groups, and in groups what is no face."""
    person = np.array(one.person)
    grouped = labels >= 0
    known = {(int(g), int(who)) for g, who in zip(labels, person, strict=True) if g >= 0 < who}
    groups, people = Counter(g for g, _ in known), Counter(who for _, who in known)
    return (
        sum(count > 1 for count in groups.values()),
        sum(count > 1 for count in people.values()),
        int(np.sum(grouped & (person == FALSE))),
    )


def _holds(face: Face, x: float, y: float) -> bool:
    return bool(np.all(np.abs(_from_centre(face, x, y)) <= 0.5))


def _off(face: Face, x: float, y: float) -> float:
    return float(np.linalg.norm(_from_centre(face, x, y)))


def _from_centre(face: Face, x: float, y: float) -> Any:
    """In sizes of the box."""
    return (np.array([x, y]) - face.box[:2]) / face.box[2:] - 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="the photos, in any order and any folders")
    parser.add_argument("--pack", type=Path, default=PACK)
    arguments = parser.parse_args()
    engine = open_engine(arguments.pack)
    sets = judge(engine, arguments.folder)
    if not sets:
        parser.error("none of the labelled photos is there")
    print(
        "\n".join(
            [
                *finding(sets),
                "",
                *grouping(sets | {"all in one event": together(sets)}, engine.model),
                "",
            ]
        )
    )
    for name, one in sets.items():
        print("".join(f"{name}: missed {face}\n" for face in one.missed), end="")
        print("".join(f"{name}: false {face}\n" for face in one.false), end="")


if __name__ == "__main__":
    main()
