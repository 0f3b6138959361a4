import io

import pytest
from PIL import Image

from memoria.errors import UnreadableMedia
from memoria.media.headers.jpeg import read_jpeg
from memoria.media.jpeg import reduction


def saved(mode: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (64, 64)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "options", "kept"),
    [
        ("RGB", {}, 0),
        ("RGB", {"progressive": True}, 3),
        ("RGB", {"progressive": True, "subsampling": 0}, 6),
        ("L", {"progressive": True}, 2),
        ("CMYK", {}, 0),
        ("CMYK", {"progressive": True}, 8),
    ],
)
def test_what_a_progressive_file_keeps_is_told_by_its_header(
    mode: str, options: dict[str, object], kept: float
) -> None:
    assert read_jpeg(saved(mode, **options)).kept == kept


def test_a_header_that_is_cut_off_is_unreadable() -> None:
    whole = saved("RGB", progressive=True)
    for end in range(whole.index(b"\xff\xda")):
        with pytest.raises(UnreadableMedia):
            read_jpeg(whole[:end])


@pytest.mark.parametrize(
    ("side", "min_side", "scale"),
    [(100, None, 1), (100, 51, 1), (100, 50, 2), (99, 12, 8), (7, 1, 4)],
)
def test_a_side_shrinks_as_far_as_it_may(side: int, min_side: int | None, scale: int) -> None:
    assert reduction(side, min_side) == scale
