"""How well groups agree with people."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F64, Index

DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Scores:
    """Noise counts as groups of one; strangers are faces of people seen once or twice."""

    bcubed: float
    precision: float  # B-cubed
    recall: float  # B-cubed
    pairwise: float
    strangers_grouped: int
    groups: int


def scores(labels: Index, person: Index) -> Scores:
    """B-cubed (Bagga and Baldwin 1998) and pairwise F of all faces. (n,), (n,) -> scores."""
    precision, recall = (float(each.mean()) for each in by_face(labels, person))
    group, person = _alone(labels), np.unique(person, return_inverse=True)[1]
    size, faces = np.bincount(group), np.bincount(person)
    both = np.unique(group * (person.max() + 1) + person, return_counts=True)[1]
    joined = np.sum(size * (size - 1)) + np.sum(faces * (faces - 1))
    return Scores(
        bcubed=2 * precision * recall / (precision + recall),
        precision=precision,
        recall=recall,
        pairwise=float(2 * np.sum(both * (both - 1)) / max(joined, 1)),
        strangers_grouped=int(np.sum((faces[person] < 3) & (labels >= 0))),
        groups=len(np.unique(labels[labels >= 0])),
    )


def by_face(labels: Index, person: Index) -> tuple[F64, F64]:
    """B-cubed precision and recall of each face. (n,), (n,) -> (n,), (n,)."""
    group, person = _alone(labels), np.unique(person, return_inverse=True)[1]
    cell = group * (person.max() + 1) + person
    _, where, both = np.unique(cell, return_inverse=True, return_counts=True)
    together = both[where]
    return together / np.bincount(group)[group], together / np.bincount(person)[person]


def resampled(labels: Index, person: Index, seed: int = 0) -> F64:
    """B-cubed F for DRAWS draws of the people, with replacement. (n,), (n,) -> (DRAWS,).

    The same seed draws the same people, so that two methods can be compared draw by draw.
    """
    person = np.unique(person, return_inverse=True)[1]
    people = int(person.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), DRAWS)
    faces = np.maximum(drawn @ np.bincount(person), 1)
    precision, recall = (
        drawn @ np.bincount(person, each) / faces for each in by_face(labels, person)
    )
    found: F64 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    return found


def _alone(labels: Index) -> NDArray[np.intp]:
    noise = labels < 0
    group = np.where(noise, labels.max(initial=-1) + 1 + np.cumsum(noise), labels)
    return np.unique(group, return_inverse=True)[1]
