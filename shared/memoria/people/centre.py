"""What stands for a person: the centre of its faces, and the best face near to it."""

import numpy as np

from memoria.arrays import F32, Index
from memoria.people.types import EventFaces


def centroid(vectors: F32) -> F32:
    """The mean direction. (n, d) unit rows -> (d,) unit."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    middle: F32 = (mean / length if length > 0 else vectors[0]).astype(np.float32)
    return middle


def best_face(faces: EventFaces, rows: Index, middle: F32) -> int:
    """The best quality among the half of the faces nearest to the centre: an index into rows."""
    nearness = faces.vectors[rows] @ middle
    near = np.flatnonzero(nearness >= np.median(nearness))
    return int(near[np.argmax(faces.quality[rows[near]])])
