"""Labelled vectors of photos through our own finder, as they are and damaged, kept in .cache.

Damage makes what no labelled set outside LFW has enough of: masks, faces of few pixels, blurs.
"""

import json
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
STORED = ROOT / ".cache" / "benchmarks" / "damaged_portraits.npz"
DAMAGES = ("none", "mask", "32 pixels", "20 pixels", "blur")
MASKS = ((200, 180, 120), (235, 235, 235), (40, 40, 40))  # colours


def portraits(damage: str = "none") -> tuple[F32, Index, F32]:
    """Unit vectors of the face nearest to each photo's centre, who it is and its quality."""
    if not STORED.exists():
        STORED.parent.mkdir(parents=True, exist_ok=True)
        columns: dict[str, Any] = embedded()
        np.savez(STORED, **columns)
    with np.load(STORED) as stored:
        person = np.unique(stored[f"{damage} who"], return_inverse=True)[1]
        return stored[f"{damage} embedding"], person, stored[f"{damage} quality"]


def embedded() -> dict[str, Any]:
    """Each photo five times. Where no face is found any more, the photo is left out."""
    engine = open_engine(MODEL)
    rng = np.random.default_rng(0)
    labels: dict[str, str] = json.loads((PHOTOS / "labels.json").read_text())["photos"]
    found: dict[str, list[tuple[str, Face]]] = {damage: [] for damage in DAMAGES}
    for name, who in labels.items():
        data = (PHOTOS / name).read_bytes()
        faces = find_faces_in_photo(engine, data)[0]
        if not faces:
            continue
        face = _central(faces)
        found["none"].append((who, face))
        for damage, image in damaged(data, face, rng).items():
            faces = find_faces_in_photo(engine, bytes(cv2.imencode(".png", image)[1]))[0]
            if faces:
                found[damage].append((who, _central(faces)))
    columns: dict[str, Any] = {}
    for damage, each in found.items():
        columns[f"{damage} who"] = np.array([who for who, _ in each])
        columns[f"{damage} embedding"] = np.stack([face.embedding for _, face in each])
        columns[f"{damage} quality"] = np.array([face.quality for _, face in each])
    return columns


def damaged(data: bytes, face: Face, rng: np.random.Generator) -> dict[str, Image]:
    """A portrait four times, the face in it made hard. BGR, as OpenCV encodes it."""
    image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    moved = cv2.filter2D(image, -1, _motion(int(rng.integers(7, 15)), float(rng.uniform(0, 180))))
    return {
        "mask": _masked(image, face),
        "32 pixels": _shrunk(image, face, rng.uniform(26, 40)),
        "20 pixels": _shrunk(image, face, rng.uniform(17, 25)),
        "blur": moved.astype(np.uint8),
    }


def _central(faces: list[Face]) -> Face:
    off = [float(np.linalg.norm(face.box[:2] + face.box[2:] / 2 - 0.5)) for face in faces]
    return faces[int(np.argmin(off))]


def _shrunk(image: Image, face: Face, pixels: float) -> Image:
    scale = pixels / (face.box[3] * image.shape[0])
    smaller: Any = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return smaller  # type: ignore[no-any-return]


def _masked(image: Image, face: Face) -> Image:
    """The lower half of the face under one colour, from the bridge of the nose to the chin."""
    x, y, w, h = face.box * np.tile(image.shape[1::-1], 2)
    nose_x, nose_y = face.landmarks[2] * image.shape[1::-1]
    corners = [
        [x, nose_y],
        [nose_x, nose_y - 0.06 * h],
        [x + w, nose_y],
        [x + 0.9 * w, y + 0.9 * h],
        [nose_x, y + 1.05 * h],
        [x + 0.1 * w, y + 0.9 * h],
    ]
    covered = image.copy()
    colour = MASKS[int(x * 7) % len(MASKS)]
    cv2.fillConvexPoly(covered, np.array(corners).astype(np.int32), colour)
    return covered


def _motion(length: int, degrees: float) -> F32:
    """The kernel of a camera that moved so many pixels."""
    kernel = np.zeros((length, length))
    kernel[length // 2] = 1 / length
    middle = length / 2 - 0.5
    turn = cv2.getRotationMatrix2D((middle, middle), degrees, 1)
    turned: Any = cv2.warpAffine(kernel, turn, (length, length))
    return turned / turned.sum()  # type: ignore[no-any-return]
