import numpy as np
import pytest
from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

from memoria.clustering.tiles import TILE, visit_tiles


@pytest.mark.parametrize("count", [1, TILE, TILE + 1, 3 * TILE + 7])
def test_every_pair_is_multiplied_once_on_one_core_or_on_all(count):
    rows = np.random.default_rng(count).normal(size=(count, 8)).astype(np.float32)
    found = np.zeros((count, count), dtype=np.float32)

    def take(start, first, tile):
        found[start : start + tile.shape[0], first : first + tile.shape[1]] += tile

    visit_tiles(rows, take, step="test")
    expected = rows @ rows.T
    blocks = np.arange(count) // TILE
    expected[blocks[:, None] > blocks] = 0
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_a_visit_raises_is_raised_and_blas_gets_its_threads_back():
    rows = np.ones((3 * TILE, 4), dtype=np.float32)
    before = [pool["num_threads"] for pool in threadpool_info()]

    def refuse(start, first, tile):
        raise ArithmeticError(f"{start} {first}")

    with pytest.raises(ArithmeticError):
        visit_tiles(rows, refuse, step="test")
    assert [pool["num_threads"] for pool in threadpool_info()] == before
