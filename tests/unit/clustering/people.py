"""Made and real faces for the tests of the second pass."""

import numpy as np

from memoria.clustering.groups import Faces
from memoria.clustering.rows import unit_rows
from memoria.clustering.same_photo import SharedPhotos
from tests.data import LFW, there

EMBEDDINGS = LFW.parent


def stored(name):
    """Labelled vectors; skips where they are missing."""
    with np.load(there(EMBEDDINGS / f"{name}.npz")) as columns:
        return dict(columns)


def directions(count, dimensions=64):
    return np.eye(dimensions, dtype=np.float32)[:count]


def look_alike(similarity, dimensions=64):
    """Two unit vectors at a similarity."""
    two = np.zeros((2, dimensions), dtype=np.float32)
    two[0, 0] = 1
    two[1, :2] = similarity, np.sqrt(1 - similarity**2)
    return two


def photos_of(person, count, *, alike, seed=0):
    """(count, d) photos of one unit vector, with this mean similarity to each other."""
    noise = np.random.default_rng(seed).normal(size=(count, len(person)))
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    return unit_rows(person + np.sqrt(1 / alike - 1) * noise)


def faces_of(rows, *, photos=None, weight=None, founds=None):
    """Faces of which every pair is near."""
    n = len(rows)
    one, other = np.triu_indices(n, 1)
    return Faces(
        rows,
        np.ones(n, np.float32) if weight is None else np.asarray(weight, np.float32),
        np.ones(n, bool) if founds is None else np.asarray(founds),
        SharedPhotos(None if photos is None else np.asarray(photos)),
        (one, other),
        np.einsum("ij,ij->i", rows[one], rows[other]),
    )
