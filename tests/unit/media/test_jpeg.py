import io

import numpy as np
import pytest
from PIL import Image

from memoria.errors import UnreadableMedia
from memoria.media import decode_image
from memoria.media.headers.jpeg import read_jpeg, scan_end
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


def with_scans(data: bytes, order: list[int]) -> bytes:
    """A progressive JPEG with these of its scans in this order, each with the tables before it."""
    starts = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    ends = [scan_end(data, start) for start in starts]
    first = data.index(b"\xff\xc4")
    parts = [data[a:b] for a, b in zip([first, *ends], ends, strict=False)]
    return data[:first] + b"".join(parts[i] for i in order) + b"\xff\xd9"


def test_scans_of_colours_alone_are_no_picture() -> None:
    """Encoders may put the details of colours before those of the luminance."""
    noise = np.random.default_rng(0).integers(0, 255, (8, 12, 3), np.uint8)
    image = Image.fromarray(noise).resize((96, 64), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    order = [0, 2, 3, 1, 4, 5, 6, 7, 8, 9]  # libjpeg's: averages, luminance, two colours, the rest
    np.testing.assert_array_equal(decode_image(with_scans(whole, order)), decode_image(whole))
    enough = with_scans(whole, order[:5])
    assert decode_image(enough).shape == (64, 96, 3)
    first = enough.rindex(b"\xff\xda")
    assert decode_image(enough[: first + 20]).shape == (64, 96, 3)
    for cut in (with_scans(whole, order[:3]), with_scans(whole, order[:4])[:-20]):
        for end in (b"", b"\xff\xd9"):
            with pytest.raises(UnreadableMedia, match="coarsest"):
                decode_image(cut + end)
