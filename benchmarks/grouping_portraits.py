"""Labelled vectors of photos through our own finder, as they are and damaged, kept in .cache.

Damage makes what no labelled set outside LFW has enough of: masks, faces of few pixels, blurs.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from memoria.arrays import F32, Image, Index
from memoria.faces import find_faces_in_photo, open_engine
from memoria.faces.types import Face

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
PHOTOS = SHARED / "events" / "portraits"
MODEL = SHARED / "models" / "scrfd2.5g_mobilefacenet"
STORED = ROOT / ".cache" / "benchmarks" / "portraits"
DAMAGES = ("none", "mask", "32 pixels", "20 pixels", "blur")
COLOURS = ((200, 180, 120), (235, 235, 235), (40, 40, 40))


def portraits(damage: str = "none") -> tuple[F32, Index, F32]:
    """Unit vectors of the face nearest to each photo's centre, who it is and its quality."""
    path = STORED / f"{damage.replace(' ', '_')}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        embedding, person, quality = embedded(damage)
        np.savez(path, embedding=embedding, person=person, quality=quality)
    with np.load(path) as stored:
        return stored["embedding"], stored["person"], stored["quality"]


def embedded(damage: str) -> tuple[F32, Index, F32]:
    """The columns of a damage's file. Photos in which no face is found any more are left out."""
    engine = open_engine(MODEL)
    labels: dict[str, str] = json.loads((PHOTOS / "labels.json").read_text())["photos"]
    people = {who: number for number, who in enumerate(sorted(set(labels.values())))}
    found, person = [], []
    for number, (name, who) in enumerate(labels.items()):
        data = (PHOTOS / name).read_bytes()
        faces = find_faces_in_photo(engine, data)[0]
        if faces and damage != "none":
            data = _damaged(data, _central(faces), damage, np.random.default_rng(number))
            faces = find_faces_in_photo(engine, data)[0]
        if faces:
            found.append(_central(faces))
            person.append(people[who])
    vectors = np.stack([face.embedding for face in found])
    quality = np.array([face.quality for face in found], dtype=np.float32)
    return vectors, np.array(person, dtype=np.intp), quality


def _central(faces: list[Face]) -> Face:
    off = [float(np.linalg.norm(face.box[:2] + face.box[2:] / 2 - 0.5)) for face in faces]
    return faces[int(np.argmin(off))]


def _damaged(data: bytes, face: Face, damage: str, rng: np.random.Generator) -> bytes:
    image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if damage == "mask":
        image = _masked(image, face, COLOURS[rng.integers(len(COLOURS))])
    elif damage == "blur":
        image = cv2.filter2D(image, -1, _motion(int(rng.integers(7, 15)), rng.uniform(0, 180)))
    else:
        low, high = {"32 pixels": (26, 40), "20 pixels": (17, 25)}[damage]
        scale = rng.uniform(low, high) / (face.box[3] * image.shape[0])
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".png", image)[1])


def _masked(image: Image, face: Face, colour: tuple[int, int, int]) -> Image:
    """The lower half of the face under one colour, from the bridge of the nose to the chin."""
    size = np.array(image.shape[1::-1])
    x, y = face.box[:2] * size
    w, h = face.box[2:] * size
    nose_x, nose_y = face.landmarks[2] * size
    corners = np.array(
        list(_mask_corners(x, y, w, h, float(nose_x), float(nose_y))),
        dtype=np.int32,
    )
    covered = image.copy()
    cv2.fillConvexPoly(covered, corners, colour)
    return covered


def _mask_corners(  # noqa: PLR0917
    x: float, y: float, w: float, h: float, nose_x: float, nose_y: float
) -> Iterator[tuple[float, float]]:
    yield x, nose_y
    yield nose_x, nose_y - 0.06 * h
    yield x + w, nose_y
    yield x + 0.9 * w, y + 0.9 * h
    yield nose_x, y + 1.05 * h
    yield x + 0.1 * w, y + 0.9 * h


def _motion(length: int, degrees: float) -> F32:
    """The kernel of a camera that moved so many pixels."""
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    middle = length / 2 - 0.5
    turned = cv2.warpAffine(
        kernel, cv2.getRotationMatrix2D((middle, middle), degrees, 1), (length, length)
    )
    kernel[:] = turned / turned.sum()
    return kernel
