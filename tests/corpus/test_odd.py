"""Odd photos are read; bombs end at once, whatever they ask for."""

import time

import numpy as np
import pytest

from memoria.errors import Terminal, UnreadableMedia, UnsupportedMedia
from memoria.faces import open_engine
from memoria.media import decode_image, open_photo
from memoria.media.budget import LIMIT_BYTES
from tests.corpus.bombs import bombs, page, tiff
from tests.corpus.odd import SIZE, odd
from tests.corpus.photo_cases import outcomes
from tests.data import CASES, SMALL_PACK, needs

WIDTH, HEIGHT = SIZE


@pytest.mark.parametrize(("name", "data"), [pytest.param(*file, id=file[0]) for file in odd()])
def test_odd_photos_are_read(name: str, data: bytes) -> None:
    refused = {"(unreadable)": UnreadableMedia, "(unsupported)": UnsupportedMedia}
    if error := next((error for end, error in refused.items() if name.endswith(end)), None):
        with pytest.raises(error):
            decode_image(data)
        return
    height, width, _ = decode_image(data).shape
    longer = (WIDTH, 256)  # a photo over white
    expected = [(HEIGHT, WIDTH)] if "(turned)" in name else [(WIDTH, HEIGHT), longer]
    assert (width, height) in expected


def test_photometric_interpretation_is_not_a_negative() -> None:
    tiffs = {name: decode_image(data) for name, data in odd() if "photometric" in name}
    first, *others = tiffs.values()
    assert first.std() > 20
    assert all(abs(first.astype(int) - other).max() <= 1 for other in others)


def test_planes_of_16_bits_are_those_of_the_photo() -> None:
    """Pillow and OpenCV make noise of them, without a word."""
    files = dict(odd())
    planes, floats = (
        decode_image(files[f"TIFF of {name}"]).astype(int)
        for name in ("16 bits by planes", "floats")
    )
    assert abs(planes - floats).max() <= 1


def test_an_empty_opacity_of_a_bmp_hides_nothing() -> None:
    files = dict(odd())
    shown, floats = files["BMP whose opacity is empty"], files["TIFF of floats"]
    assert abs(decode_image(shown).astype(int) - decode_image(floats)).max() <= 1


def test_whole_numbers_of_32_bits_keep_their_brightness() -> None:
    pixels = np.full(64, 200 << 24, "<u4").tobytes()
    image = decode_image(tiff(page(8, 8, t258=32, t279=len(pixels)), pixels))
    assert image.min() == image.max() == 200


def test_a_png_that_is_cut_off_keeps_what_is_there() -> None:
    files = dict(odd())
    whole, cut = decode_image(files["PNG of many parts"]), decode_image(files["PNG cut at 60 %"])
    assert (cut[: HEIGHT // 2] == whole[: HEIGHT // 2]).all()
    assert not cut[-HEIGHT // 4 :].any()


@pytest.mark.slow
def test_every_bomb_is_walked_at_once_and_costs_no_more_than_its_share() -> None:
    slow, refused, count = [], 0, 0
    for name, data in bombs():
        count += 1
        started = time.process_time()
        try:
            needed = open_photo(data).bytes_needed(1, 8)
            refused += needed > LIMIT_BYTES
        except Terminal:
            refused += 1
        seconds = time.process_time() - started
        if seconds > 3:
            slow.append((name, seconds))
    assert count >= 30
    assert refused >= 15
    assert slow == []


@pytest.mark.slow
@needs(CASES, SMALL_PACK)
def test_the_photo_cases_come_out_right() -> None:
    elsewhere = {  # tests of faces/ hold these
        "people turned differently in one photo",
        "small faces in large or long photos",
    }
    wrong = [
        (outcome.case["file"], outcome.got)
        for outcome in outcomes(CASES, open_engine(SMALL_PACK))
        if not outcome.right and outcome.case["kind"] not in elsewhere
    ]
    assert wrong == []
