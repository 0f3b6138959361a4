"""What the demo shows in the place of a file, and how it reads one that is damaged."""

import io

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from local.demo.event import LARGE_BYTES, PREVIEW_PX, is_shown, preview_of

pillow_heif.register_heif_opener()
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8))


def stored(kind: str, picture: Image.Image = PICTURE) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_small_file_that_browsers_show_needs_no_preview(kind: str):
    assert is_shown(stored(kind))
    assert not is_shown(stored(kind) + bytes(LARGE_BYTES))


@pytest.mark.parametrize("kind", ["HEIF", "TIFF", "BMP"])
def test_every_other_kind_has_one_however_small_it_is(kind: str):
    data = stored(kind)
    assert not is_shown(data)
    with Image.open(io.BytesIO(preview_of(data))) as preview:
        assert (preview.format, preview.size) == ("JPEG", PICTURE.size)


def test_a_preview_is_of_1024_pixels():
    preview = preview_of(stored("TIFF", PICTURE.resize((1600, 1200))))
    with Image.open(io.BytesIO(preview)) as picture:
        assert max(picture.size) == PREVIEW_PX


def test_what_is_no_photo_has_none():
    assert not is_shown(b"no photo")
    assert preview_of(b"no photo") == b""


def test_damage_is_not_told_on_the_terminal(capfd: pytest.CaptureFixture[str]):
    """libpng writes there by itself, and not whose file it is."""
    data = stored("PNG")
    preview_of(data[: len(data) * 3 // 4])
    assert capfd.readouterr().err == ""
