"""A photo whose upload stopped is searched where half of it is there."""

import struct
import time
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from memoria.errors import UnreadableMedia
from memoria.media import decode_image, open_photo
from memoria.media.headers.png import chunk
from tests.corpus.bombs import saved
from tests.exif import STORED

pillow_heif.register_heif_opener()


def scene() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    return Image.fromarray(noise).resize((300, 200), Image.Resampling.BICUBIC)


def turned() -> bytes:
    tags = Image.Exif()
    tags[0x0112] = 6
    return saved(scene().transpose(STORED[6]), "HEIF", quality=80, exif=tags.tobytes())


FILES = {
    "WebP": saved(scene(), "WEBP", quality=80),
    "WebP with opacity": saved(scene().convert("RGBA"), "WEBP", quality=80),
    "WebP without loss": saved(scene(), "WEBP", lossless=True),
    "animated WebP": saved(
        scene(), "WEBP", quality=80, save_all=True, append_images=[scene().rotate(180)]
    ),
    "HEIC": saved(scene(), "HEIF", quality=80),
    "HEIC of tiles": saved(scene(), "HEIF", quality=80, tile_size=64),
}
kinds = pytest.mark.parametrize("data", [pytest.param(FILES[kind], id=kind) for kind in FILES])


def first_picture(data: bytes, share: float) -> bytes:
    """So much of a file, or of an animation's first frame."""
    end = data.find(b"ANMF", data.find(b"ANMF") + 1)
    return data[: int((end if end > 0 else len(data)) * share)]


@kinds
def test_what_is_there_is_read_and_the_rest_is_black(data: bytes) -> None:
    whole, cut = decode_image(data), decode_image(first_picture(data, 0.8))
    assert cut.shape == whole.shape
    assert (cut[:100] == whole[:100]).all()
    assert not cut[-8:, -8:].any()


@kinds
def test_less_than_half_is_refused_with_its_reason(data: bytes) -> None:
    with pytest.raises(UnreadableMedia, match="cut off"):
        decode_image(first_picture(data, 0.3))


@pytest.mark.parametrize("size", [(4, 64), (64, 4)])
@pytest.mark.parametrize("kind", ["WEBP", "HEIF"])
def test_a_narrow_one_is_refused_too(kind: str, size: tuple[int, int]) -> None:
    data = saved(scene().resize(size), kind, quality=90)
    with pytest.raises(UnreadableMedia, match="cut off"):
        decode_image(first_picture(data, 0.9))


def test_what_is_missing_of_a_turned_photo_is_at_its_side() -> None:
    data = turned()
    whole, cut = decode_image(data), decode_image(data[: len(data) * 8 // 10])
    same = (cut == whole).all(axis=(0, 2))
    assert same.mean() > 0.5
    assert not cut[:, ~same].any()


def test_regions_are_those_of_the_frame() -> None:
    photo = open_photo(first_picture(FILES["WebP"], 0.8))
    with photo.loaded(None) as loaded:
        boxes = [(0, 0, 300, 200), (5, 5, 90, 70), (50, 100, 200, 195), (250, 190, 300, 200)]
        for (x, y, x2, y2), region in zip(boxes, loaded.regions(boxes), strict=True):
            np.testing.assert_array_equal(region, loaded.frame[y:y2, x:x2])


def test_a_gif_that_is_cut_off_is_refused_and_one_without_its_last_bytes_is_read() -> None:
    data = saved(scene(), "GIF")
    with pytest.raises(UnreadableMedia, match="cut off"):
        decode_image(data[: len(data) * 8 // 10])
    np.testing.assert_array_equal(decode_image(data[:-2]), decode_image(data))


def test_a_png_in_many_parts_is_salvaged_in_a_time_that_grows_with_its_size() -> None:
    width, height, part = 2000, 2000, 128
    pixels = zlib.compress(bytes((1 + 3 * width) * height), 0)
    pixels = pixels[: len(pixels) * 9 // 10]
    parts = (chunk(b"IDAT", pixels[at : at + part]) for at in range(0, len(pixels), part))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    started = time.process_time()
    assert decode_image(b"".join((b"\x89PNG\r\n\x1a\n", head, *parts))).shape == (height, width, 3)
    assert time.process_time() - started < 3
