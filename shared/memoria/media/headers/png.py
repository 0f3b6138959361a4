"""PNG: the chunks that make the picture, without all the others.

An animated one (APNG) is looked at in its default image, which is what every viewer can show.
"""

import struct
import zlib
from collections.abc import Iterator

from memoria.errors import UnreadableMedia, UnsupportedMedia
from memoria.media.headers.exif import MOST_BYTES, orientation
from memoria.media.headers.header import Header, damaged, excessive

MOST_CHUNKS = 100_000  # 64 MB in the smallest chunks that encoders write are 16,000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3  # a colour type
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}


def read_png(data: bytes) -> Header:
    """Walk a PNG. Raises UnreadableMedia, UnsupportedMedia."""
    if data[12:16] == b"CgBI":
        raise UnsupportedMedia("the file is a PNG of an iOS app's own kind, which is not read")
    if data[12:16] != b"IHDR":
        raise damaged("PNG", "it does not begin with its header")
    header, palette, transparency, exif = data[16:29], b"", b"", b""
    pixels: list[bytes] = []
    colours = _colours(header)
    for kind, start, end in chunks(data):
        body = slice(start, end)
        if kind == b"IDAT":
            whole = data[start - 8 : end + 4]
            pixels.append(whole if end + 4 <= len(data) else chunk(kind, data[body]))
        elif kind == b"PLTE" and not palette:
            palette = data[body][: 3 * 256]
        elif kind == b"tRNS" and not pixels:
            transparency = data[body][:256]
        elif kind == b"eXIf" and not exif and end - start <= MOST_BYTES:
            exif = data[body]
    head = [_SIGNATURE, chunk(b"IHDR", header)]
    if palette and colours in {2, 3, 6}:
        head.append(chunk(b"PLTE", palette[: len(palette) // 3 * 3]))
    if transparency and _fits(transparency, colours, len(palette) // 3):
        head.append(chunk(b"tRNS", transparency))
    if colours == _PALETTE and not palette:
        raise damaged("PNG", "its palette is missing")
    width, height = struct.unpack(">II", header[:8])
    return Header(
        kind="PNG",
        data=b"".join((*head, *pixels, chunk(b"IEND", b""))),
        size=(width, height),
        orientation=orientation(exif),
    )


def _colours(header: bytes) -> int:
    """The colour type of a header that makes sense."""
    if len(header) < 13:
        raise damaged("PNG", "its header is cut off")
    depth, colours = header[8], header[9]
    if depth not in _DEPTHS.get(colours, ()) or header[12] > 1:
        raise damaged("PNG", "its header makes no sense")
    if not any(header[:4]) or not any(header[4:8]):
        raise UnreadableMedia("the photo has no pixels")
    return colours


def row_bytes(header: bytes) -> int:
    """Bytes of a row of pixels, with the one before it that tells its filter."""
    width, depth, colours = int.from_bytes(header[:4], "big"), header[8], header[9]
    return 1 + (width * depth * _SAMPLES[colours] + 7) // 8


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk's body, the last one perhaps cut off."""
    at = 8
    for _ in range(MOST_CHUNKS):
        kind, start = data[at + 4 : at + 8], at + 8
        if len(kind) < 4 or kind == b"IEND":
            return
        end = start + int.from_bytes(data[at : at + 4], "big")
        yield kind, start, min(end, len(data))
        at = end + 4
    raise excessive("PNG", MOST_CHUNKS, "chunks")


def _fits(transparency: bytes, colours: int, palette: int) -> bool:
    """Whether it has the length that the colour type asks for; other ones are left out."""
    if colours == _PALETTE:
        return len(transparency) <= palette
    return len(transparency) == {0: 2, 2: 6}.get(colours)


def chunk(kind: bytes, body: bytes) -> bytes:
    """A whole chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
