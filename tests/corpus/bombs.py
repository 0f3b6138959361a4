"""Small files that ask for hours or gigabytes: every kind by name.

None may cost more than its own attempt. They are made, not kept; the largest has 62 MB.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()

MOST_BYTES = 62_000_000  # under MAX_MEDIA_BYTES


def bombs() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each."""
    yield from _jpegs()
    yield from _pngs()
    yield from _tiffs()
    yield from _boxes()
    yield from _metas()
    yield from _others()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image's file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _jpegs() -> Iterator[tuple[str, bytes]]:
    plain = saved(Image.new("RGB", (64, 64), "teal"), "JPEG")
    yield "JPEG of 119 megapixels with 20,000 scans", scans(10_900, 10_900, 20_000)
    yield "JPEG of 119 megapixels with 500 scans", scans(10_900, 10_900, 500)
    yield "JPEG of 12 megapixels with 1,000 scans", scans(4000, 3000, 1000)
    yield "JPEG of 12 megapixels with 480 scans", scans(4000, 3000, 480)
    yield "JPEG with 15 million empty segments", plain[:2] + b"\xff\xe5\0\x02" * 15_000_000
    yield "JPEG with 16 MB of 0xFF", plain[:2] + b"\xff" * 16_000_000 + plain[2:]
    yield "JPEG with 30 million stuffed bytes", plain[:-2] + b"\xff\0" * 30_000_000
    exif = b"\xff\xe1\xff\xffExif\0\0" + bytes(65_527)
    yield "JPEG with EXIF over 120 segments", plain[:2] + exif * 120 + plain[2:]
    for kind in (3, 4, 5):
        yield f"JPEG with 16,000 orientations of type {kind}", _oriented(plain, kind, 16_000)
    tables = b"\xff\xdb" + (2 + 65 * 1008).to_bytes(2, "big") + (b"\0" + b"\x01" * 64) * 1008
    yield "JPEG with 900 segments of tables", plain[:2] + tables * 900 + plain[2:]
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    twenty = saved(noise, "JPEG", progressive=True)
    frame = twenty.index(b"\xff\xc2") + 5
    grown = twenty[:frame] + struct.pack(">HH", 65_500, 15_000) + twenty[frame + 4 :]
    yield "JPEG that claims 982 megapixels", grown


def scans(width: int, height: int, count: int) -> bytes:
    """A progressive grey JPEG whose scans are of no bytes but their headers."""
    small = saved(Image.new("L", (16, 16), 128), "JPEG", progressive=True)
    frame = small.index(b"\xff\xc2") + 5
    first = small.index(b"\xff\xda")
    second = small.index(b"\xff\xda", first + 2)
    head = small[:frame] + struct.pack(">HH", height, width) + small[frame + 4 : second]
    scan = b"\xff\xda\0\x08\x01\x01\0\x01\x3f\0\0"  # all details of the only component: none
    return head + scan * count + b"\xff\xd9"


def _oriented(jpeg: bytes, kind: int, count: int) -> bytes:
    entry = struct.pack("<HHII", 0x0112, kind, count, 26)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + bytes(4) + b"\x06\0" * 30_000
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    return jpeg[:2] + segment + jpeg[2:]


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG's."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _pngs() -> Iterator[tuple[str, bytes]]:
    small = saved(Image.new("RGB", (64, 64), "teal"), "PNG")
    head, rest = small[:33], small[33:]
    yield "PNG with 5 million chunks", head + chunk(b"teSt", b"") * 5_000_000 + rest
    text = zlib.compress(bytes(100_000_000))
    yield "PNG with 20 text bombs", head + chunk(b"zTXt", b"a\0\0" + text) * 20 + rest
    yield "PNG with 20 profile bombs", head + chunk(b"iCCP", b"a\0\0" + text) * 20 + rest
    yield "PNG of 60 megapixels", deflated_png(8_000, 7_500)
    yield (
        "PNG that claims 990 megapixels",
        head[:16] + struct.pack(">II", 33_000, 30_000) + small[24:],
    )
    frames = chunk(b"fcTL", bytes(26)) + chunk(b"fdAT", bytes(8))
    animated = chunk(b"acTL", struct.pack(">II", 45_000, 0))
    yield "PNG with 90,000 frames", head + animated + frames * 45_000 + rest


@cache
def deflated_png(width: int, height: int) -> bytes:
    """One colour, as small as deflate makes it."""
    squeeze = zlib.compressobj(9)
    row = bytes(1 + 3 * width)
    body = b"".join([*(squeeze.compress(row) for _ in range(height)), squeeze.flush()])
    head = b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    )
    return head + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def tiff(tags: dict[int, tuple[int, int, bytes]], pixels: bytes) -> bytes:
    """A little-endian TIFF of one page: tag -> type, count, value or offset as four bytes.

    The pixels lie at 8, the directory behind them.
    """
    at = 8 + len(pixels)
    entries = b"".join(
        struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
        for tag, (kind, count, value) in sorted(tags.items())
    )
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", at) + pixels + directory


def page(width: int, height: int, **changed: int) -> dict[int, tuple[int, int, bytes]]:
    """The tags of an 8-bit grey page of one strip; ``t256=…`` changes one."""
    plain = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height}
    plain[279] = width * height
    plain |= {int(name[1:]): value for name, value in changed.items()}
    return {tag: (4, 1, struct.pack("<I", value)) for tag, value in plain.items()}


def tiled(width: int, height: int, across: int, down: int, body: bytes) -> bytes:
    """A deflated grey TIFF whose tiles are all the same bytes."""
    tags = page(width, height, t259=8, t322=across, t323=down)
    for tag in (273, 278, 279):
        del tags[tag]
    count = -(-width // across) * -(-height // down)
    offsets = struct.pack("<I", 8) * count + struct.pack("<I", len(body)) * count
    tags[324] = 4, count, struct.pack("<I", 8 + len(body))
    tags[325] = 4, count, struct.pack("<I", 8 + len(body) + 4 * count)
    if count == 1:
        tags[324], tags[325] = (4, 1, struct.pack("<I", 8)), (4, 1, struct.pack("<I", len(body)))
    return tiff(tags, body + offsets)


def _tiffs() -> Iterator[tuple[str, bytes]]:
    zeros = zlib.compress(bytes(16_384 * 16_384))
    yield "TIFF of 64 × 64 with a tile of 16,384 × 16,384", tiled(64, 64, 16_384, 16_384, zeros)
    yield "TIFF of 700 × 700 in tiles of one pixel", tiled(700, 700, 1, 1, zlib.compress(b"\0"))
    yield (
        "TIFF of 5,000 × 5,000 in tiles of 8 × 8",
        tiled(5000, 5000, 8, 8, zlib.compress(bytes(64))),
    )
    pixels = bytes(64 * 64)
    for tag, name in ((274, "orientations"), (282, "resolutions"), (258, "depths"), (700, "XMP")):
        kind = 5 if tag == 282 else 3
        count = MOST_BYTES // (8 if kind == 5 else 2) - 10_000
        tags = page(64, 64) | {tag: (kind, count, struct.pack("<I", 8))}
        yield f"TIFF with millions of {name}", tiff(tags, pixels + bytes(MOST_BYTES - 20_000))
    yield "TIFF with 20 pages of 1,000 tags of 4 MB", _repeated(20, 1000)
    yield "TIFF with 90 pages of tags of 4 MB", _repeated(90, 4)
    loop = tiff(page(64, 64), pixels)
    yield "TIFF whose next page is its first", loop[:-4] + struct.pack("<I", 8 + len(pixels))
    tags = page(30_000, 30_000, t259=8, t279=len(zeros))
    yield "TIFF of 900 megapixels", tiff(tags, zeros)
    yield (
        "TIFF of 60 megapixels in one strip",
        tiff(page(8000, 7500, t259=8, t279=len(zeros)), zeros),
    )


def _repeated(pages: int, count: int) -> bytes:
    """Directories of tags that all tell the same 500,000 values."""
    data = bytearray(b"II*\0" + struct.pack("<I", 4_000_008) + bytes(4_000_000))
    tags = (273, 279, 324, 325)
    for number in range(pages):
        data += struct.pack("<H", count)
        for i in range(count):
            data += struct.pack("<HHII", tags[i * len(tags) // count], 16, 500_000, 8)
        data += struct.pack("<I", len(data) + 4 if number < pages - 1 else 0)
    return bytes(data)


def patched_sizes(data: bytes, width: int, height: int) -> bytes:
    """A HEIF or AVIF whose every ``ispe`` tells another size."""
    changed, at = bytearray(data), data.find(b"ispe")
    while at >= 0:
        changed[at + 8 : at + 16] = struct.pack(">II", width, height)
        at = data.find(b"ispe", at + 4)
    return bytes(changed)


@cache
def large(kind: str, side: int) -> bytes:
    """A plain photo of side × side pixels, in a few kilobytes."""
    options: dict[str, Any] = {"AVIF": {"speed": 10, "quality": 30}}.get(kind, {"quality": 20})
    return saved(Image.new("RGB", (side, side), "teal"), kind, **options)


def box(kind: bytes, *parts: bytes) -> bytes:
    """An ISO base media box."""
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _boxes() -> Iterator[tuple[str, bytes]]:
    for kind, side in (("AVIF", 7000), ("HEIF", 3000)):
        yield (
            f"{kind} of {side} × {side} that says 64 × 64",
            patched_sizes(large(kind, side), 64, 64),
        )
        small = large(kind, 64)
        yield f"{kind} of 64 × 64 that says 30,000 × 30,000", patched_sizes(small, 30_000, 30_000)
        ftyp = box(b"ftyp", b"avif" if kind == "AVIF" else b"heic", bytes(4), b"mif1")
        yield f"{kind} with a million boxes", ftyp + box(b"free") * 1_000_000 + small[len(ftyp) :]
    yield "HEIF grid of 64 × 64 tiles that says 20,000 × 20,000", grid(large("HEIF", 64), 20_000)


def grid(tile: bytes, side: int, across: int = 1, tile_side: int = 64) -> bytes:
    """A HEIC or AVIF whose primary item is a grid, side × side by its own words.

    It has across × across tiles, each the picture of another file, and tile_side × tile_side
    pixels by the file's words.
    """
    codec, kind, brand = (
        (b"av1C", b"av01", b"avif") if b"av1C" in tile else (b"hvcC", b"hvc1", b"heic")
    )
    configuration = tile[tile.index(codec) - 4 :]
    configuration = configuration[: int.from_bytes(configuration[:4], "big")]
    picture = tile[tile.index(b"mdat") + 4 :]
    numbers = range(2, across**2 + 2)
    items = [(1, b"grid"), *((number, kind) for number in numbers)]
    info = [box(b"infe", b"\2\0\0\0", _16(item), bytes(2), name, b"\0") for item, name in items]
    sizes = (box(b"ispe", bytes(4), struct.pack(">II", each, each)) for each in (tile_side, side))
    owned = _16(1) + b"\1\3" + b"".join(_16(number) + b"\2\x81\2" for number in numbers)
    derived = bytes((0, 1, across - 1, across - 1)) + struct.pack(">II", side, side)

    def meta(offset: int) -> bytes:
        places = struct.pack(">HHHHII", 1, 1, 0, 1, 0, len(derived))
        for i, number in enumerate(numbers):
            at = offset + i * len(picture)
            places += struct.pack(">HHHHII", number, 0, 0, 1, at, len(picture))
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), _16(1)),
            box(b"iloc", b"\1\0\0\0\x44\0", _16(len(items)), places),
            box(b"iinf", bytes(4), _16(len(items)), *info),
            box(b"iref", bytes(4), box(b"dimg", _16(1), _16(len(numbers)), *map(_16, numbers))),
            box(b"iprp", properties),
            box(b"idat", derived),
        )

    properties = box(b"ipco", configuration, *sizes)
    properties += box(b"ipma", bytes(4), struct.pack(">I", len(items)), owned)
    head = box(b"ftyp", brand, bytes(4), b"mif1", brand)
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", picture * len(numbers))


def _16(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _metas() -> Iterator[tuple[str, bytes]]:
    """HEIFs of many things that take no room, or are told again and again."""
    many, few = 5000, b"\0\0\0\1"
    place = box(b"iloc", bytes(6), _16(1), _16(1), _16(0), _16(19_999))
    owner = b"\0\1\xff" + b"\1" * 255
    owners = box(b"ipma", bytes(4), struct.pack(">I", many), owner * many)
    made_of = box(b"dimg", _16(1), b"\xff\xff", _16(2) * 65_535)
    units = box(b"hvcC", bytes(22), b"\xff", (b"\x21\xff\xff" + bytes(131_070)) * 4)
    metas = {
        "100 million extents of no bytes": place * many,
        "50 million owned properties": box(b"iprp", box(b"ipco", box(b"free")), owners * 40),
        "26 million references": box(b"iref", bytes(4), made_of * 400),
        "24 million empty units": box(b"pitm", bytes(4), _16(1))
        + box(
            b"iprp",
            box(b"ipco", box(b"ispe", bytes(4), few, few), units * 90),
            box(b"ipma", bytes(4), few, b"\0\1\1\1"),
        ),
    }
    for name, body in metas.items():
        yield (
            f"HEIF with {name}",
            box(b"ftyp", b"heic", bytes(4), b"mif1") + box(b"meta", bytes(4), body),
        )


def _others() -> Iterator[tuple[str, bytes]]:
    gif = saved(Image.new("P", (64, 64)), "GIF")
    comment = b"\x21\xfe" + (b"\xff" + bytes(255)) * 230_000 + b"\0"
    start = 13 + 3 * 2 ** ((gif[10] & 7) + 1)
    yield "GIF with 59 MB of comments", gif[:start] + comment + gif[start:]
    empty = b"\x21\xfe\0" * 20_000_000
    yield "GIF with 20 million empty comments", gif[:start] + empty + gif[start:]
    tiny = b"\x21\xfe" + b"\1\0" * 25_000_000 + b"\0"
    yield "GIF with 25 million blocks of a byte", gif[:start] + tiny + gif[start:]
    yield "GIF of 65,535 × 65,535", gif[:6] + b"\xff" * 4 + gif[10:]
    header = struct.pack("<IiiHHIIiiII", 40, 30_000, 30_000, 1, 8, 1, 0, 0, 0, 0, 0)
    runs = b"BM" + struct.pack("<IHHI", 8192, 0, 0, 54) + header + b"\xff\0" * 4000
    yield "BMP of 900 megapixels in runs", runs
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("teal", "white")]
    webp = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    at = webp.index(b"VP8X") + 12
    yield "WEBP that moves on 16,384 × 16,384", webp[:at] + b"\xff\x3f\0" * 2 + webp[at + 6 :]
    solid = Image.new("RGB", (8000, 8000), "teal")
    yield "WEBP of 64 megapixels", saved(solid, "WEBP", lossless=True, quality=0, method=0)
