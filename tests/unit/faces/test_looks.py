import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoria.faces.canvas import look_by_tiles, tiles
from memoria.faces.looks import Looks
from tests.unit.faces.blobs import BlobDetector, with_blob


def looks(fixed: tuple[int, int] | None = None) -> Looks:
    return Looks(BlobDetector(fixed), 640)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "canvas"),
    [
        ((4000, 3000), (640, 480)),
        ((3000, 3000), (640, 640)),
        ((6000, 4000), (720, 480)),
        ((2160, 3840), (480, 853)),
        ((250, 250), (640, 640)),
        ((20_000, 2000), (4800, 480)),
    ],
)
def test_a_short_side_is_seen_as_large_in_photos_of_every_shape(
    size: tuple[int, int], canvas: tuple[int, int]
) -> None:
    scale = looks().scale(*size)
    assert tuple(round(side * scale) for side in size) == canvas


def test_a_detector_of_one_size_sees_what_fits_on_it() -> None:
    scale = looks((640, 640)).scale(3840, 2160)
    assert round(3840 * scale) == 640


@given(st.integers(1, 65_500), st.integers(1, 65_500))
def test_no_shape_costs_more_than_the_windows_of_a_long_photo(width: int, height: int) -> None:
    scale = looks().scale(width, height)
    assert max(width, height) * scale <= 16 * 640 + 1
    assert min(width, height) * scale <= 640 + 1


@given(
    st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(51, 3000), st.integers(51, 3000)),
    st.integers(20, 1000),
    st.integers(0, 19),
)
def test_tiles_cover_a_region_and_overlap(
    region: tuple[int, int, int, int], side: int, overlap: int
) -> None:
    parts = np.array(tiles(region, side, overlap))
    assert parts[:, :2].min(axis=0).tolist() == list(region[:2])
    assert parts[:, 2:].max(axis=0).tolist() == list(region[2:])
    assert (parts[:, 2:] - parts[:, :2]).max() <= side + overlap
    for axis in (0, 1):
        spans = np.unique(parts[:, [axis, axis + 2]], axis=0)
        assert (spans[:-1, 1] - spans[1:, 0] >= overlap).all()


def test_a_face_at_the_edge_of_two_tiles_is_found_once_and_whole() -> None:
    image = with_blob(np.zeros((300, 900, 3), np.uint8), 390, 100, 60)
    parts = [(0, 0, 420, 300), (340, 0, 900, 300)]
    found = list(look_by_tiles(BlobDetector(), image, parts, 1, 0.05))  # type: ignore[arg-type]
    assert [len(some) for some in found] == [0, 1]
    np.testing.assert_array_equal(found[1].boxes, [[390, 100, 450, 160]])


def test_a_long_photo_is_seen_by_windows() -> None:
    image = np.zeros((200, 2000, 3), np.uint8)
    for x in range(50, 2000, 150):
        with_blob(image, x, 80, 20)
    assert (looks().main(image).scores > 0.8).sum() == 13
