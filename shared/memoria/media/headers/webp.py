"""WebP: the still picture, or the first frame of an animation, without metadata."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from memoria.media.headers.exif import MOST_BYTES, orientation
from memoria.media.headers.header import Header, damaged, excessive

MOST_CHUNKS = 10_000
_ALPHA = 0x10  # the flag of VP8X that an opacity plane follows


@dataclass(frozen=True, slots=True, kw_only=True)
class WebpHeader(Header):
    """A WebP's header."""

    corner: tuple[int, int] = (0, 0)  # where the first frame lies on the canvas: x, y, pixels
    is_lossless: bool
    frame_size: tuple[int, int]  # its width and height; the photo's size is the canvas


def read_webp(data: bytes) -> WebpHeader:
    """Walk a WebP up to what is needed. Raises UnreadableMedia."""
    canvas = corner = None
    opacity = picture = exif = b""
    chunks = [*_chunks(data, 12, len(data))]
    if frame := next((c for c in chunks if c[0] == b"ANMF"), None):
        _, start, end = frame
        corner = 2 * _number24(data, start), 2 * _number24(data, start + 3)
        outer = [chunk for chunk in chunks if chunk[0] in {b"VP8X", b"EXIF"}]
        chunks = [*outer, *_chunks(data, start + 16, end)]
    for kind, start, end in chunks:
        body = data[start - 8 : end + (end - start & 1)]
        if kind == b"VP8X" and canvas is None:
            canvas = 1 + _number24(data, start + 4), 1 + _number24(data, start + 7)
        elif kind == b"ALPH" and not opacity:
            opacity = body
        elif kind in {b"VP8 ", b"VP8L"} and not picture:
            picture = body
        elif kind == b"EXIF" and not exif:
            exif = data[start : min(end, start + MOST_BYTES)]
    size = _picture_size(picture)
    missing = _missing_bytes(picture, size)
    if canvas is None or corner is None:  # a still picture fills its canvas
        canvas, corner = size, (0, 0)
    if corner[0] + size[0] > canvas[0] or corner[1] + size[1] > canvas[1]:
        raise damaged("WEBP", "its frame is larger than its canvas")
    return WebpHeader(
        kind="WEBP",
        data=_still(size, opacity, _filled(picture, missing)),
        missing=missing,
        size=canvas,
        orientation=orientation(exif),
        corner=corner,
        is_lossless=picture[:4] == b"VP8L",
        frame_size=size,
    )


def _chunks(data: bytes, at: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk's body, the last one perhaps cut off."""
    for _ in range(MOST_CHUNKS):
        if at + 8 > stop:
            return
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], at + 8, min(end, stop)
        at = end + (end - at & 1)
    raise excessive("WEBP", MOST_CHUNKS, "chunks")


def _picture_size(picture: bytes) -> tuple[int, int]:
    """Width and height, from a VP8 or VP8L chunk."""
    if picture[:4] == b"VP8 " and picture[11:14] == b"\x9d\x01\x2a" and len(picture) >= 18:
        width, height = struct.unpack("<HH", picture[14:18])
        return width & 0x3FFF, height & 0x3FFF
    if picture[:4] == b"VP8L" and picture[8:9] == b"\x2f" and len(picture) >= 13:
        bits = int.from_bytes(picture[9:13], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise damaged("WEBP", "it has no picture")


def _missing_bytes(picture: bytes, size: tuple[int, int]) -> int:
    """How many zeros a picture needs that is cut off: more than it lost, for decoders run ahead."""
    lost = 8 + int.from_bytes(picture[4:8], "little") - len(picture)
    if lost <= 0:
        return 0
    missing = min(lost, len(picture)) + min(size[0] * size[1] // 4, len(picture))
    return missing + (len(picture) + missing & 1)


def _filled(picture: bytes, missing: int) -> bytes:
    if not missing:
        return picture
    length = len(picture) - 8 + missing
    return picture[:4] + struct.pack("<I", length) + picture[8:] + bytes(missing)


def _still(size: tuple[int, int], opacity: bytes, picture: bytes) -> bytes:
    """A file of one picture."""
    chunks = picture
    if opacity and picture[:4] == b"VP8 ":
        sides = b"".join((side - 1).to_bytes(3, "little") for side in size)
        chunks = b"VP8X" + struct.pack("<II", 10, _ALPHA) + sides + opacity + picture
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def _number24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")
