"""Grids that are too large for memory are decoded by their tiles."""

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from memoria.errors import MediaTooLarge, UnreadableMedia
from memoria.media import decode_image, open_photo
from memoria.media.budget import BUDGET
from memoria.media.headers import HeifHeader, TiledHeader, read_header
from memoria.media.pixels import Pixels
from memoria.media.stored import stored_pixels
from tests.corpus.bombs import grid, saved
from tests.exif import STORED

pillow_heif.register_heif_opener()


def scene(width: int = 300, height: int = 200) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def heic(image: Image.Image, **options: object) -> bytes:
    return saved(image, "HEIF", tile_size=64, quality=90, **options)


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


LITTLE = 400_000  # bytes: enough for a row of tiles, not for 300 × 200 pixels


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_and_regions_are_those_of_the_whole(
    orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = STORED.get(orientation)
    data = heic(scene() if turn is None else scene().transpose(turn), exif=exif(orientation))
    whole = decode_image(data)
    monkeypatch.setattr(BUDGET, "limit_bytes", LITTLE)
    photo = open_photo(data)
    assert isinstance(photo.header, TiledHeader)
    assert photo.size == (300, 200)
    np.testing.assert_array_equal(photo.frame(), whole)
    with photo.loaded(90) as loaded:
        assert loaded.frame.shape == (100, 150, 3)
        boxes = [(0, 0, 300, 200), (60, 60, 70, 70), (250, 130, 300, 200), (127, 3, 129, 4)]
        for (x, y, x2, y2), region in zip(boxes, loaded.regions(boxes), strict=True):
            np.testing.assert_array_equal(region, whole[y:y2, x:x2])


def pixels_of(tile: bytes, kind: str) -> Pixels:
    header = read_header(grid(tile, 64), kind)
    assert isinstance(header, HeifHeader)
    assert header.by_tiles is not None
    return stored_pixels(header.by_tiles)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_a_tile_is_a_photo_of_its_own(kind: str) -> None:
    pixels = pixels_of(saved(Image.new("RGB", (64, 64), (0, 128, 128)), kind), kind)
    assert abs(pixels.region((3, 5, 64, 64)).astype(int) - (0, 128, 128)).max() < 4


def test_a_tile_of_another_size_than_it_says_is_damage() -> None:
    with pytest.raises(UnreadableMedia, match="damaged"):
        pixels_of(saved(Image.new("RGB", (128, 128)), "HEIF"), "HEIF").region((0, 0, 64, 64))


def test_a_grid_is_read_by_its_tiles_only_where_the_whole_does_not_fit() -> None:
    header = read_header(heic(scene()), "HEIF")
    assert isinstance(header, HeifHeader)
    assert header.by_tiles is not None
    assert len(header.by_tiles.tiles) == 5 * 4
    assert not isinstance(open_photo(heic(scene())).header, TiledHeader)


@pytest.mark.parametrize(("side", "across"), [(0, 1), (65, 1), (64, 2), (129, 2)])
def test_an_irregular_grid_is_not_read_by_its_tiles(side: int, across: int) -> None:
    header = read_header(grid(saved(Image.new("RGB", (64, 64)), "HEIF"), side, across), "HEIF")
    assert isinstance(header, HeifHeader)
    assert header.by_tiles is None


def test_what_is_no_grid_has_no_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    header = read_header(saved(scene(), "HEIF"), "HEIF")
    assert isinstance(header, HeifHeader)
    assert header.by_tiles is None
    monkeypatch.setattr(BUDGET, "limit_bytes", LITTLE)
    with pytest.raises(MediaTooLarge):
        decode_image(saved(scene(), "HEIF"))
