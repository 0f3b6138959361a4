"""RAW files are looked at in the preview that the camera made."""

from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from memoria.errors import Terminal, UnsupportedMedia
from memoria.media import decode_image, open_photo
from tests.corpus.bombs import saved
from tests.corpus.dng import dng

SENSOR = (2000, 1500)
MARKS = (  # of makers' files, nothing in which can be read
    b"FUJIFILMCCD-RAW",
    b"IIU\0",
    b"IIRO",
    b"MMOR",
    b"FOVb",
    b"II*\0\x10\0\0\0CR\x02\0",
    b"II*\0\x10\0\0\0IIII\x0cwaR",
    b"MM\0*\0\0\0\x10MMMMRaw\0",
    b"\0\0\0\x18ftypcrx ",
)


def preview(size: tuple[int, int] = (1600, 1200), **options: object) -> bytes:
    """Red, with a blue top left quarter."""
    image = Image.new("RGB", size, (204, 0, 0))
    image.paste((0, 0, 204), (0, 0, size[0] // 2, size[1] // 2))
    return saved(image, "JPEG", **options)


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def blue_corner(image: np.ndarray) -> str:
    height, width, _ = image.shape
    corners = {
        "top left": image[9, 9],
        "top right": image[9, width - 9],
        "bottom left": image[height - 9, 9],
        "bottom right": image[height - 9, width - 9],
    }
    return max(corners, key=lambda name: int(corners[name][2]))


def test_the_preview_stands_for_the_photo() -> None:
    data = dng(SENSOR, preview())
    assert open_photo(data).size == (1600, 1200)
    assert blue_corner(decode_image(data)) == "top left"


@pytest.mark.parametrize(
    ("orientation", "size", "corner"),
    [
        (1, (1600, 1200), "top left"),
        (3, (1600, 1200), "bottom right"),
        (6, (1200, 1600), "top right"),
        (8, (1200, 1600), "bottom left"),
    ],
)
def test_a_preview_that_says_nothing_is_turned_with_the_file(
    orientation: int, size: tuple[int, int], corner: str
) -> None:
    image = decode_image(dng(SENSOR, preview(), orientation=orientation))
    assert image.shape[1::-1] == size
    assert blue_corner(image) == corner


@pytest.mark.parametrize("own", [1, 6])
@pytest.mark.parametrize("jfif", [False, True])
def test_a_preview_with_exif_of_its_own_is_turned_by_that_alone(own: int, jfif: bool) -> None:
    embedded = preview(exif=exif(own))
    if jfif:  # before the EXIF: LibRaw then puts EXIF of its own before both
        plain = preview()
        embedded = plain[:20] + embedded[2:]
    image = decode_image(dng(SENSOR, embedded, orientation=8))
    assert blue_corner(image) == {1: "top left", 6: "top right"}[own]


def test_a_preview_that_is_turned_already_is_not_turned_again() -> None:
    image = decode_image(dng(SENSOR, preview((1200, 1600)), orientation=6))
    assert image.shape == (1600, 1200, 3)
    assert blue_corner(image) == "top left"


@pytest.mark.parametrize("size", [(1200, 900), (1600, 1066), (640, 480)])
def test_a_small_or_cropped_preview_is_refused_by_name(size: tuple[int, int]) -> None:
    with pytest.raises(UnsupportedMedia, match="RAW"):
        decode_image(dng(SENSOR, preview(size)))


def test_a_raw_without_a_preview_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedMedia, match="RAW"):
        decode_image(dng(SENSOR, None))
    for magic in MARKS:
        with pytest.raises(UnsupportedMedia, match="RAW"):
            decode_image(magic + bytes(5000))


def test_a_raw_cut_off_anywhere_ends_in_a_photo_or_a_terminal_error() -> None:
    data = dng(SENSOR, preview())
    for end in range(100, len(data), len(data) // 23):
        with suppress(Terminal):
            assert decode_image(data[:end]).shape == (1200, 1600, 3)
