"""Labelled vectors of photos through our own detector, kept in .cache between runs."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
PHOTOS = SHARED / "events" / "portraits"
MODEL = SHARED / "models" / "scrfd2.5g_mobilefacenet"
STORED = ROOT / ".cache" / "benchmarks" / "portraits.npz"


def portraits() -> tuple[F32, NDArray[np.intp]]:
    """Unit vectors of the face nearest to each photo's centre, and who it is. (n, 512), (n,)."""
    if not STORED.exists():
        STORED.parent.mkdir(parents=True, exist_ok=True)
        vectors, person = embedded()
        np.savez(STORED, embedding=vectors, person=person)
    stored = np.load(STORED)
    return stored["embedding"], stored["person"]


def embedded() -> tuple[F32, NDArray[np.intp]]:
    from memoria.faces import find_faces_in_photo, open_engine
    from memoria.faces.types import nearest_to_centre

    engine = open_engine(MODEL)
    labels: dict[str, str] = json.loads((PHOTOS / "labels.json").read_text())["photos"]
    vectors, people = [], []
    for name, who in labels.items():
        faces = find_faces_in_photo(engine, (PHOTOS / name).read_bytes())[0]
        if faces:
            vectors.append(nearest_to_centre(faces).embedding)
            people.append(who)
    person = np.unique(people, return_inverse=True)[1].astype(np.intp)
    return np.stack(vectors), person
