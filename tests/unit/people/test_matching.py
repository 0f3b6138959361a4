"""Groups and people are matched at best, in little memory however many there are."""

import tracemalloc

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from memoria.arrays import F32
from memoria.people.matching import match_by_faces, match_by_likeness


def unit(rng: np.random.Generator, *shape: int) -> F32:
    rows = rng.standard_normal(shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("similarity", [0.1, 0.5, 0.9])
def test_the_likest_are_those_that_one_assignment_of_all_finds(similarity: float) -> None:
    rng = np.random.default_rng(0)
    groups, people = unit(rng, 60, 8), unit(rng, 40, 8)
    likeness = groups @ people.T
    likeness[likeness < similarity] = 0
    best = likeness[linear_sum_assignment(likeness, maximize=True)].sum()
    found = match_by_likeness(groups, people, similarity)
    assert len(set(found.values())) == len(found)
    assert all(likeness[pair] > 0 for pair in found.items())
    assert sum(likeness[pair] for pair in found.items()) == pytest.approx(best, abs=1e-4)


def test_nobody_is_like_nobody() -> None:
    nothing = np.zeros((0, 8), np.float32)
    someone = unit(np.random.default_rng(0), 1, 8)
    assert match_by_likeness(nothing, nothing, 0.6) == {}
    assert match_by_likeness(someone, nothing, 0.6) == {}
    assert match_by_likeness(someone, -someone, 0.6) == {}
    assert match_by_likeness(someone, someone, 0.6) == {0: 0}


def test_thousands_who_went_are_found_in_little_memory() -> None:
    """Before, in 12 bytes for each group and each person who has no faces: 300 MiB."""
    rng = np.random.default_rng(0)
    people, order = unit(rng, 5000, 64), rng.permutation(5000)
    tracemalloc.start()
    try:
        found = match_by_likeness(people[order], people, 0.7)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == dict(enumerate(order.tolist()))
    assert peak < 80 * 2**20


def test_of_equals_the_older_keeps_the_group() -> None:
    groups, people = np.array([0, 0, 1, 1, 1, -1]), np.array([1, 0, 0, 1, 2, 2])
    assert match_by_faces(groups, people) == {0: 0, 1: 1}
    assert match_by_faces(groups[:1], np.array([-1])) == {}
