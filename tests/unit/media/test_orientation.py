import numpy as np
import pytest

from memoria.media.orientation import stored_box, upright, upright_corner


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_of_the_upright_photo_is_found_in_the_stored_one(orientation: int) -> None:
    stored = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    box = (3, 5, 20, 11)
    left, top, right, bottom = stored_box(box, orientation, 60, 40)
    region = upright(stored[top:bottom, left:right], orientation)
    whole = upright(stored, orientation)
    np.testing.assert_array_equal(region, whole[box[1] : box[3], box[0] : box[2]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_part_of_the_stored_photo_is_found_in_the_upright_one(orientation: int) -> None:
    stored = np.random.default_rng(0).integers(0, 255, (41, 63, 3), np.uint8)
    part = upright(stored[:40, :60], orientation)
    whole = upright(stored, orientation)
    rest = whole.shape[1] - part.shape[1], whole.shape[0] - part.shape[0]
    x, y = upright_corner(rest, orientation)
    np.testing.assert_array_equal(part, whole[y : y + part.shape[0], x : x + part.shape[1]])
