"""How well groups agree with people."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Scores:
    """Noise counts as groups of one; strangers are faces of people seen once or twice."""

    bcubed: float
    precision: float  # B-cubed
    recall: float  # B-cubed
    pairwise: float
    strangers_grouped: int
    groups: int


def scores(labels: Labels, person: Labels) -> Scores:
    """B-cubed (Bagga and Baldwin 1998) and pairwise F of all faces. (n,), (n,) -> scores."""
    person = np.unique(person, return_inverse=True)[1]
    noise = labels < 0
    group = np.where(noise, labels.max(initial=-1) + 1 + np.cumsum(noise), labels)
    group = np.unique(group, return_inverse=True)[1]
    size, faces = np.bincount(group), np.bincount(person)
    cell = group * (person.max() + 1) + person
    _, where, both = np.unique(cell, return_inverse=True, return_counts=True)
    precision = float(np.mean(both[where] / size[group]))
    recall = float(np.mean(both[where] / faces[person]))
    joined = np.sum(size * (size - 1)) + np.sum(faces * (faces - 1))
    return Scores(
        bcubed=2 * precision * recall / (precision + recall),
        precision=precision,
        recall=recall,
        pairwise=float(2 * np.sum(both * (both - 1)) / max(joined, 1)),
        strangers_grouped=int(np.sum((faces[person] < 3) & ~noise)),
        groups=len(np.unique(labels[~noise])),
    )
