"""Nearest neighbours against all pairs sorted, where many are equally near."""

import tracemalloc

import numpy as np
import pytest

from memoria.clustering.neighbours import nearest_neighbours


def signs(rng, faces):
    """Vectors whose products are exact in any order of summation: equal ones are equal."""
    return (rng.choice([-1, 1], size=(faces, 64)) / 8).astype(np.float32)


def made(kind):
    rng = np.random.default_rng(0)
    rows = signs(rng, 2600)
    if kind == "one face":
        rows[:] = rows[0]
    elif kind == "a third one face":
        rows[::3] = rows[0]
    elif kind == "two faces side by side":
        rows[:1100], rows[1100:2300] = rows[0], rows[1]
    elif kind == "twenty of each":
        rows = rng.permutation(np.repeat(rows[:130], 20, axis=0))
    return rows


KINDS = ["all differ", "one face", "a third one face", "two faces side by side", "twenty of each"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 16, 50])
def test_of_equally_near_rows_the_lowest_numbers_are_listed(kind, count):
    rows = made(kind)
    lists = nearest_neighbours(rows, count)
    distances = 1 - rows @ rows.T
    np.fill_diagonal(distances, np.inf)
    index = np.argsort(distances, axis=1, kind="stable")[:, :count]
    assert np.array_equal(lists.rows, index)
    assert np.array_equal(lists.distances, np.take_along_axis(distances, index, axis=1))


def test_copies_take_no_more_memory_than_other_faces():
    peaks = []
    for kind in ("all differ", "one face"):
        rows = made(kind)
        tracemalloc.start()
        nearest_neighbours(rows, 16)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 3 * peaks[0]  # tiles of two threads, which may be there at once or not
