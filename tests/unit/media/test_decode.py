"""Every format and orientation comes out as one upright frame."""

import io

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from memoria.errors import MediaTooLarge, UnreadableMedia, UnsupportedMedia
from memoria.media import decode_image, open_photo
from tests.corpus.bombs import page, tiff
from tests.exif import STORED

pillow_heif.register_heif_opener()

WIDTH, HEIGHT = 96, 64
LOSSY = 24  # grey levels that a lossy format may move a flat patch


def scene() -> Image.Image:
    """Red, with a blue top left quarter: every turn of it looks different."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (204, 0, 0))
    image.paste((0, 0, 204), (0, 0, WIDTH // 2, HEIGHT // 2))
    return image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def is_scene(image: np.ndarray) -> bool:
    """Whether a frame is the scene, upright."""
    blue, red = image[8, 8].astype(int), image[-8, -8].astype(int)
    right = image[8, -8].astype(int)
    close = [abs(blue - (0, 0, 204)), abs(red - (204, 0, 0)), abs(right - (204, 0, 0))]
    return image.dtype == np.uint8 and image.shape[2] == 3 and max(map(max, close)) <= LOSSY


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "BMP"])
def test_every_format_gives_the_same_frame(kind: str) -> None:
    image = decode_image(saved(scene(), kind))
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert is_scene(image)


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "JPEG", {"progressive": True}),
        ("CMYK", "JPEG", {}),
        ("CMYK", "TIFF", {}),
        ("RGBA", "PNG", {}),
        ("P", "PNG", {}),
        ("P", "GIF", {}),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_every_layout_of_pixels_becomes_rgb(
    mode: str, kind: str, options: dict[str, object]
) -> None:
    assert is_scene(decode_image(saved(scene().convert(mode), kind, **options)))


def test_grey_and_sixteen_bit_photos_keep_their_brightness() -> None:
    deep = Image.fromarray(np.full((HEIGHT, WIDTH), 200 * 256 + 7, np.uint16))
    for data in (saved(deep, "PNG"), saved(Image.new("L", (WIDTH, HEIGHT), 200), "JPEG")):
        assert abs(int(decode_image(data)[5, 5, 1]) - 200) <= 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_is_white(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    nothing, half = (Image.new("RGBA", (9, 9), (0, 0, 0, opacity)) for opacity in (0, 128))
    assert decode_image(saved(nothing, kind, **options)).min() == 255
    assert abs(int(decode_image(saved(half, kind, **options))[4, 4, 0]) - 127) <= 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_eight_orientations_come_out_upright(kind: str, orientation: int) -> None:
    turn = STORED.get(orientation)
    stored = scene() if turn is None else scene().transpose(turn)
    data = saved(stored, kind, exif=exif(orientation))
    assert open_photo(data).size == (WIDTH, HEIGHT)
    assert is_scene(decode_image(data))


def test_a_png_may_tell_its_orientation_after_its_pixels() -> None:
    data = saved(scene().transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif(6))
    start = data.index(b"eXIf") - 4
    chunk = data[start : start + 12 + int.from_bytes(data[start : start + 4], "big")]
    rest = data.replace(chunk, b"")
    end = rest.rindex(b"IEND") - 4
    assert is_scene(decode_image(rest[:end] + chunk + rest[end:]))


def test_a_header_is_read_without_decoding() -> None:
    whole = saved(scene(), "PNG")
    assert open_photo(whole[: whole.index(b"IDAT") + 4]).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heif_turns_by_its_own_box_and_only_once(orientation: int) -> None:
    turn = STORED.get(orientation)
    stored = scene() if turn is None else scene().transpose(turn)
    assert is_scene(decode_image(saved(stored, "HEIF", exif=exif(orientation))))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_absurd_exif_spoils_no_photo() -> None:
    for junk in (b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 500, exif(99)):
        assert is_scene(decode_image(saved(scene(), "JPEG", exif=junk)))


@pytest.mark.parametrize(
    ("min_side", "shape"),
    [(501, (1000, 1500)), (500, (500, 750)), (250, (250, 375)), (60, (125, 188))],
)
def test_a_reduced_frame_is_a_half_a_quarter_or_an_eighth(
    min_side: int, shape: tuple[int, int]
) -> None:
    data = saved(scene().resize((1500, 1000)), "JPEG", exif=exif(1))
    reduced = decode_image(data, min_side=min_side)
    assert reduced.shape[:2] == shape
    assert is_scene(reduced)


def noisy_jpeg(**options: object) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    return saved(Image.fromarray(noise), "JPEG", **options)


def test_a_truncated_photo_gives_what_can_be_read() -> None:
    data = noisy_jpeg()
    image = decode_image(data[: len(data) * 4 // 5])
    assert image.shape == (200, 300, 3)
    assert image[:120].std() > 30


@pytest.mark.parametrize("share", [0.02, 0.1, 0.4])
def test_of_a_photo_cut_off_early_nothing_is_made_up(share: float) -> None:
    data = noisy_jpeg()
    with pytest.raises(UnreadableMedia):
        decode_image(data[: int(len(data) * share)])


def test_a_progressive_photo_needs_more_than_its_coarsest_scan() -> None:
    data = noisy_jpeg(progressive=True)
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    with pytest.raises(UnreadableMedia):
        decode_image(data[: second - 10])
    assert decode_image(data[: len(data) * 4 // 5]).shape == (200, 300, 3)


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7 ...",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?><svg/>",
        b"<!DOCTYPE html><html></html>",
        b"PK\x03\x04" + b"\0" * 50,
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        b"RIFF\x24\0\0\0AVI LIST",
        b"\x1aE\xdf\xa3" + b"\0" * 40,
    ],
)
def test_what_is_no_photo_is_named_as_such(data: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="which is not read"):
        decode_image(data)


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 1000, b"hello", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_nothing_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableMedia):
        decode_image(data)


def test_a_bomb_is_refused_from_its_header() -> None:
    data = saved(Image.new("1", (20_000, 20_000)), "PNG")
    with pytest.raises(MediaTooLarge, match="MiB"):
        decode_image(data)
    with pytest.raises(MediaTooLarge):
        decode_image(saved(scene(), "JPEG"), max_pixels=WIDTH * HEIGHT - 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_reduced_frame_says_where_it_begins_where_sides_leave_a_rest(
    kind: str, orientation: int
) -> None:
    """A square is in the same place of the upright photo, however the file is turned."""
    pixels = np.full((4031, 3037, 3), 40, np.uint8)
    pixels[1600:1640, 800:840] = 250
    data = saved(Image.fromarray(pixels), kind, exif=exif(orientation), compress_level=1)
    photo = open_photo(data)
    ys, xs = np.nonzero(decode_image(data)[..., 0] > 145)
    with photo.loaded(300) as loaded:
        assert loaded.reduction == 8
        rows, columns = np.nonzero(loaded.frame[..., 0] > 145)
        x, y = loaded.corner
    assert 8 * (columns.mean() + 0.5) + x == pytest.approx(xs.mean() + 0.5, abs=0.6)
    assert 8 * (rows.mean() + 0.5) + y == pytest.approx(ys.mean() + 0.5, abs=0.6)


def test_a_tiff_of_twelve_bits_keeps_its_brightness() -> None:
    value = 200 << 4
    pair = bytes((value >> 4, (value & 15) << 4 | value >> 8, value & 255))
    pixels = pair * (8 * 8 // 2)
    data = tiff(page(8, 8, t258=12, t279=len(pixels)), pixels)
    assert abs(int(decode_image(data)[4, 4, 0]) - 200) <= 1


def test_a_tiff_of_strange_numbers_is_named() -> None:
    pixels = bytes(8 * 8 * 3 * 4)
    tags = page(8, 8, t258=32, t262=2, t277=3, t279=len(pixels), t339=1)
    with pytest.raises(UnsupportedMedia, match="32 bits"):
        decode_image(tiff(tags, pixels))


def test_a_plain_lower_part_is_no_missing_data() -> None:
    """Where a file lacks its end marker, and where only its last rows are missing."""
    tall = Image.new("RGB", (300, 900), "white")
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    tall.paste(Image.fromarray(noise))
    data = saved(tall, "JPEG")
    for end in (len(data) - 2, len(data) - 1, len(data) - 60):
        assert decode_image(data[:end]).shape == (900, 300, 3)
    with pytest.raises(UnreadableMedia, match="less than half"):
        decode_image(data[: len(data) // 3])
