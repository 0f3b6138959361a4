"""The first bombs, as part of every run; ``python -m tests.bombs`` is the whole of it."""

import pytest

from tests.bombs.run import rows


@pytest.mark.slow
def test_good_photos_beside_bombs_are_stored_with_their_first_attempt() -> None:
    for row in rows(5):
        assert row.is_right, row.line()
