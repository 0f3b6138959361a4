"""People who lie otherwise than the photo they are in."""

import numpy as np
import pytest

from memoria.arrays import F32, Image
from memoria.faces import Engine, open_engine
from memoria.media import decode_image
from tests.data import PORTRAITS, SITCOM, SMALL_PACK, needs

pytestmark = needs(SMALL_PACK, SITCOM, PORTRAITS)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine(SMALL_PACK, threads=2)


@pytest.fixture(scope="module")
def group() -> Image:
    return decode_image((SITCOM / "IMG_0034.jpg").read_bytes())


@pytest.fixture(scope="module")
def one() -> Image:
    return decode_image((PORTRAITS / "IMG_0003.jpg").read_bytes())


def vectors(engine: Engine, *images: Image) -> F32:
    return np.array([face.embedding for image in images for face in engine.find_faces(image)])


def beside(*images: Image) -> Image:
    """Left to right on grey."""
    height = max(len(image) for image in images) + 40
    page = np.full((height, sum(image.shape[1] + 40 for image in images), 3), 120, np.uint8)
    at = 20
    for image in images:
        page[20 : 20 + len(image), at : at + image.shape[1]] = image
        at += image.shape[1] + 40
    return page


@pytest.mark.parametrize("quarters", range(4))
def test_one_who_lies_otherwise_than_a_group_is_found_as_who_they_are(
    engine: Engine, group: Image, one: Image, quarters: int
) -> None:
    known = vectors(engine, group, one)
    found = vectors(engine, beside(group, np.rot90(one, -quarters)))
    assert len(found) == len(known)
    assert (known @ found.T).max(axis=1).min() > 0.5


def test_a_collage_that_is_upside_down_in_one_half_has_everybody_twice(
    engine: Engine, group: Image
) -> None:
    known = vectors(engine, group)
    found = vectors(engine, beside(group, np.rot90(group, 2)))
    assert len(found) == 2 * len(known)
    assert ((known @ found.T) > 0.5).sum(axis=1).tolist() == [2] * len(known)
