"""Header walks: what they tell, and what they refuse before any library sees the file."""

import io
from collections.abc import Callable
from contextlib import suppress

import pillow_heif
import pytest
from PIL import Image

from memoria.errors import UnreadableMedia, UnsupportedMedia
from memoria.media.headers import JpegHeader, WebpHeader, read_header
from memoria.media.headers.exif import orientation
from tests.corpus.bombs import box, chunk, grid, page, patched_sizes, saved, scans, tiff, tiled

pillow_heif.register_heif_opener()
KINDS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "HEIF", "AVIF")


def scene(width: int = 96, height: int = 64) -> Image.Image:
    image = Image.new("RGB", (width, height), (204, 0, 0))
    image.paste((0, 0, 204), (0, 0, width // 2, height // 2))
    return image


@pytest.mark.parametrize("kind", KINDS)
def test_a_walk_tells_the_size_and_leaves_metadata_out(kind: str) -> None:
    secret = b"where the photo was taken"
    data = saved(scene(), kind, **({"comment": secret} if kind in {"JPEG", "GIF"} else {}))
    header = read_header(data, kind)
    assert header.size == (96, 64)
    assert header.orientation == 1
    assert 96 * 64 <= header.pixels < 4 * 96 * 64
    assert secret not in header.data


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_off_anywhere_ends_in_a_header_or_an_error(kind: str) -> None:
    data = saved(scene(), kind)
    for end in range(4, len(data), max(1, len(data) // 500)):
        with suppress(UnreadableMedia, UnsupportedMedia):
            assert read_header(data[:end], kind).kind == kind


def test_scans_of_the_picture_are_counted_not_those_of_its_thumbnail() -> None:
    thumbnail = saved(scene(), "JPEG", progressive=True)
    data = saved(scene(), "JPEG", progressive=True, exif=b"Exif\0\0" + thumbnail)
    header = read_header(data, "JPEG")
    plain = read_header(saved(scene(), "JPEG", progressive=True), "JPEG")
    assert isinstance(header, JpegHeader)
    assert isinstance(plain, JpegHeader)
    assert header.scans == plain.scans >= 6


@pytest.mark.parametrize(("count", "megapixels"), [(501, 1), (400, 119)])
def test_a_progressive_file_has_no_more_scans_than_its_size_bears(
    count: int, megapixels: int
) -> None:
    with pytest.raises(UnreadableMedia, match="scans"):
        read_header(scans(1000, 1000 * megapixels // 2, count), "JPEG")
    assert read_header(scans(1000, 500, 400), "JPEG").size == (1000, 500)


@pytest.mark.parametrize("factor", [0x00, 0x01, 0x10, 0x51, 0xFF])
def test_sampling_factors_of_nothing_are_unreadable(factor: int) -> None:
    data = bytearray(saved(scene(), "JPEG"))
    data[data.index(b"\xff\xc0") + 11] = factor
    with pytest.raises(UnreadableMedia, match="frame makes no sense"):
        read_header(bytes(data), "JPEG")


@pytest.mark.parametrize(
    ("marker", "name"), [(0xC3, "lossless"), (0xC5, "hierarchical"), (0xF7, "JPEG-LS")]
)
def test_other_processes_are_named(marker: int, name: str) -> None:
    data = saved(scene(), "JPEG").replace(b"\xff\xc0", bytes((0xFF, marker)), 1)
    with pytest.raises(UnsupportedMedia, match=name):
        read_header(data, "JPEG")


def many(kind: str, count: int) -> bytes:
    """A photo with so many more of what costs a file next to nothing."""
    data = saved(scene(), kind)
    if kind == "JPEG":
        return data[:2] + b"\xff\xe5\0\x02" * count + data[2:]
    if kind == "PNG":
        return data[:33] + chunk(b"teSt", b"") * count + data[33:]
    if kind == "GIF":
        at = 13 + 3 * 2 ** ((data[10] & 7) + 1)
        return data[:at] + b"\x21\xfe" + b"\1\0" * count + b"\0" + data[at:]
    if kind == "WEBP":
        return data[:12] + b"teSt\0\0\0\0" * count + data[12:]
    return data + box(b"free") * count


@pytest.mark.parametrize(
    ("kind", "limit", "what"),
    [
        ("JPEG", 20_000, "segments"),
        ("PNG", 100_000, "chunks"),
        ("GIF", 500_000, "blocks"),
        ("WEBP", 10_000, "chunks"),
        ("HEIF", 20_000, "boxes"),
        ("AVIF", 20_000, "boxes"),
    ],
)
def test_more_parts_than_any_photo_has_are_refused(kind: str, limit: int, what: str) -> None:
    assert read_header(many(kind, limit * 9 // 10), kind).size == (96, 64)
    with pytest.raises(UnreadableMedia, match=f"over {limit} {what}"):
        read_header(many(kind, limit + 1), kind)


def described(body: bytes) -> bytes:
    return box(b"ftyp", b"heic", bytes(4), b"mif1") + box(b"meta", bytes(4), body)


def extents(count: int) -> bytes:
    """Of no bytes, for one item."""
    return box(b"iloc", bytes(6), b"\0\1", b"\0\1", bytes(2), count.to_bytes(2, "big"))


def references(count: int) -> bytes:
    made_of = b"\0\1" + count.to_bytes(2, "big") + b"\0\2" * count
    return box(b"iref", bytes(4), box(b"dimg", made_of))


def owners(count: int) -> bytes:
    return box(b"iprp", box(b"ipma", bytes(4), count.to_bytes(4, "big"), b"\0\1\0" * count))


@pytest.mark.parametrize(
    ("once", "limit", "what"),
    [(extents, 20_000, "extents"), (references, 20_000, "references"), (owners, 5_000, "pictures")],
)
def test_what_a_heif_tells_has_limits_over_all_its_boxes(
    once: Callable[[int], bytes], limit: int, what: str
) -> None:
    """The file has no picture: only the limit may say so first."""
    with pytest.raises(UnreadableMedia, match="picture has no size"):
        read_header(described(once(limit // 2) * 2), "HEIF")
    with pytest.raises(UnreadableMedia, match=f"over {limit} {what}"):
        read_header(described(once(limit // 2) * 2 + once(1)), "HEIF")


def test_twelve_bits_are_named() -> None:
    data = bytearray(saved(scene(), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(UnsupportedMedia, match="12 bits"):
        read_header(bytes(data), "JPEG")


def test_orientation_is_a_whole_number_of_the_first_directory() -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    exif = tags.tobytes()
    assert orientation(exif) == orientation(exif[6:]) == 6
    assert orientation(exif.replace(b"\x01\x12\0\x03", b"\x01\x12\0\x02")) == 1
    assert orientation(b"Exif\0\0II*\0" + b"\xff" * 4) == 1
    assert orientation(b"") == 1


def test_runs_are_refused_in_a_bmp() -> None:
    data = bytearray(saved(scene(), "BMP"))
    data[30] = 1
    with pytest.raises(UnsupportedMedia, match="run-length"):
        read_header(bytes(data), "BMP")


@pytest.mark.parametrize(("across", "down"), [(1, 1), (4, 64), (16_384, 16_384)])
def test_absurd_tiles_are_refused_in_a_tiff(across: int, down: int) -> None:
    with pytest.raises(UnreadableMedia, match="tiles"):
        read_header(tiled(64, 64, across, down, b"x"), "TIFF")


def test_a_tiff_is_told_again_with_what_pixels_need() -> None:
    tags = page(8, 8, t279=64) | {700: (7, 30, b"\x08\0\0\0"), 0x8769: (4, 1, b"\x08\0\0\0")}
    header = read_header(tiff(tags, bytes(range(64))), "TIFF")
    with Image.open(io.BytesIO(header.data)) as image:
        assert {700, 0x8769}.isdisjoint(image.tag_v2)  # type: ignore[attr-defined]
        assert image.tobytes() == bytes(range(64))


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_a_size_that_is_a_lie_does_not_hide_the_one_in_the_codec(kind: str) -> None:
    lying = read_header(patched_sizes(saved(scene(640, 320), kind), 64, 64), kind)
    assert lying.size == (64, 64)
    assert lying.pixels >= 640 * 320
    boasting = read_header(patched_sizes(saved(scene(), kind), 30_000, 30_000), kind)
    assert boasting.pixels == 30_000**2


def test_a_grid_is_as_large_as_it_says() -> None:
    tile = saved(Image.new("RGB", (64, 64)), "HEIF")
    assert read_header(grid(tile, 20_000), "HEIF").pixels == 20_000**2


def test_a_grid_hides_no_size_in_any_of_its_words() -> None:
    tile = saved(Image.new("RGB", (64, 64)), "HEIF")
    of_tiles = read_header(grid(tile, 64, tile_side=20_000), "HEIF")
    of_itself = read_header(patched_sizes(grid(tile, 20_000), 64, 64), "HEIF")
    assert of_tiles.size == of_itself.size == (64, 64)
    assert of_tiles.pixels == of_itself.pixels == 20_000**2


def test_a_size_in_the_stream_alone_is_found() -> None:
    """A decoder takes it from there, whatever the file's configuration tells."""
    data = bytearray(patched_sizes(saved(scene(640, 320), "HEIF"), 64, 64))
    sps = data.index(b"\x42\x01\x01", data.index(b"hvcC"))  # a sequence parameter set
    length = int.from_bytes(data[sps - 2 : sps], "big")
    stream = data.index(b"mdat") + 4
    unit = length.to_bytes(4, "big") + data[sps : sps + length]
    data[stream : stream + len(unit)] = unit
    data[sps] = 0x44  # a picture parameter set, by its word
    header = read_header(bytes(data), "HEIF")
    assert header.size == (64, 64)
    assert header.pixels >= 640 * 320


def test_the_first_frame_of_an_animation_is_a_still() -> None:
    frames = [scene(), scene().rotate(90)]
    data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    header = read_header(data, "WEBP")
    assert isinstance(header, WebpHeader)
    assert header.size == header.frame_size == (96, 64)
    assert b"ANMF" in data
    assert b"ANMF" not in header.data
