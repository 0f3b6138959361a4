"""One group is shared out among its owners."""

import tracemalloc

import numpy as np

from memoria.people.owners import STRANGERS, divide


def test_sharing_out_the_group_of_a_giant_takes_little_memory() -> None:
    """Before, two copies of 2,048 rows of similarities with all members: 620 MiB."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((42_000, 4)).astype(np.float32)
    prior = np.repeat([0, 1, -1], [40_000, 5, 1995])
    tracemalloc.start()
    try:
        found = divide(vectors, prior, [0, 1], np.ones((len(prior), 2), bool), 3)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * 2**20
    assert found.min() == 0


def test_a_face_goes_to_the_owner_whose_nearest_three_are_most_alike() -> None:
    looks = np.eye(3, dtype=np.float32)
    prior = np.array([0, 0, 0, 1, 1, 1, STRANGERS, STRANGERS, STRANGERS, -1, -1, -1])
    vectors = looks[[0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 1, 2]]
    allowed = np.ones((12, 3), bool)
    found = divide(vectors, prior, [0, 1, STRANGERS], allowed, 3)
    assert found[9:].tolist() == [0, 1, STRANGERS]
    allowed[9:, 2] = False
    allowed[11] = False
    assert divide(vectors, prior, [0, 1, STRANGERS], allowed, 3)[9:].tolist() == [0, 1, -1]
