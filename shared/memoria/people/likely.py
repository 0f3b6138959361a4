"""Which people and which faces of nobody's are weighed against whom; how likely they are one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32, F64, Index
from memoria.clustering.groups import Groups, counted
from memoria.clustering.keys import unordered_pairs
from memoria.clustering.likelihood import chances
from memoria.clustering.quality import LIKE_NOBODY, face_weights
from memoria.clustering.thresholds import Thresholds

NEAREST = 10  # people that each person and each face is weighed against
BLOCK = 1024  # rows compared at once: bounds the memory
# Of a face that grouping left to nobody the evidence is surer than it should be, both ways: its log
# odds, as measured (`python -m benchmarks.suggestions`).
FACE_SLOPE, FACE_OFFSET = 0.5, -1.0


@dataclass(frozen=True, slots=True, eq=False)
class Likely:
    """Pairs of people (``one`` < ``other``) and of a face and a person, with their likelihoods."""

    one: Index  # (m,)
    other: Index  # (m,)
    people: F64  # (m,) 0..1
    face: Index  # (f,) rows
    who: Index  # (f,)
    faces: F64  # (f,) 0..1


def likely_pairs(vectors: F32, quality: F32, person: Index, limits: Thresholds) -> Likely:
    """For vectors of one model. (n, d) unit rows, (n,), (n,) people, -1 for nobody's."""
    present, inside = np.unique(person[person >= 0], return_inverse=True)
    loose = np.flatnonzero((person < 0) & (quality >= LIKE_NOBODY))
    k = len(present)
    group = np.full(len(person), -1, dtype=np.intp)
    group[person >= 0] = inside
    # each face of nobody's is a group of its own
    group[loose] = k + np.arange(len(loose))
    groups = counted(vectors, group, k + len(loose))  # of it all that follows is made
    means = _means(groups, k)
    floor = limits.silent - limits.margin
    one, other = unordered_pairs(*_near(means, means, floor), k)
    face, who = _near(groups.sums[k:], means, floor)
    pairs = (np.append(one, k + face), np.append(other, who))
    weight = face_weights(quality, len(quality))[0]
    found = chances(vectors, weight, group, groups, pairs=pairs, limits=limits)
    return Likely(
        one=present[one],
        other=present[other],
        people=found[: len(one)],
        face=loose[face],
        who=present[who],
        faces=_of_face(found[len(one) :]),
    )


def _means(groups: Groups, k: int) -> F32:
    """The unit means of the first ``k`` groups. -> (k, d)."""
    lengths = np.sqrt(np.maximum(groups.square[:k], 1e-12)).astype(np.float32)
    means: F32 = groups.sums[:k] / lengths[:, None]
    return means


def _near(rows: F32, means: F32, floor: float) -> tuple[Index, Index]:
    """Each row's nearest means, at least ``floor``. (n, d), (k, d) -> (m,), (m,) indices.

    A row that is one of the means is not near itself.
    """
    nearest = min(NEAREST, len(means) - (rows is means))
    found: list[Index] = [np.zeros((2, 0), dtype=np.intp)]
    for start in range(0, len(rows) if nearest > 0 else 0, BLOCK):
        alike = rows[start : start + BLOCK] @ means.T
        if rows is means:
            alike[np.arange(len(alike)), start + np.arange(len(alike))] = -1
        able = alike >= floor
        crowded = np.flatnonzero(np.count_nonzero(able, axis=1) > nearest)
        if len(crowded):
            able[crowded] &= _among_largest(alike[crowded], nearest)
        row, mean = np.divmod(np.flatnonzero(able), len(means))
        found.append(np.stack([start + row, mean]))
    one, other = np.concatenate(found, axis=1)
    return one, other


def _among_largest(values: F32, count: int) -> NDArray[np.bool_]:
    """Which values are among the ``count`` largest of their row. (m, k) -> (m, k)."""
    among = np.zeros(values.shape, dtype=bool)
    largest = np.argpartition(values, values.shape[1] - count, axis=1)[:, -count:]
    np.put_along_axis(among, largest, True, axis=1)
    return among


def _of_face(chance: F64) -> F64:
    odds = np.log(np.clip(chance, 1e-12, 1 - 1e-12) / np.clip(1 - chance, 1e-12, 1))
    likelihood: F64 = 1 / (1 + np.exp(-(FACE_OFFSET + FACE_SLOPE * odds)))
    return likelihood
