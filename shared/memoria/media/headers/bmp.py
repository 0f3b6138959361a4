"""BMP: uncompressed ones only."""

import struct

from memoria.errors import UnreadableMedia, UnsupportedMedia
from memoria.media.headers.header import Header, damaged

_COMPRESSED = {
    1: "a run-length coded",
    2: "a run-length coded",
    4: "a JPEG coded",
    5: "a PNG coded",
}
_PLAIN = {0, 3, 6}  # rows of pixels; with masks; with masks and opacity


def read_bmp(data: bytes) -> Header:
    """Read a BMP's header. Raises UnreadableMedia, UnsupportedMedia."""
    if len(data) < 26:
        raise damaged("BMP", "its header is cut off")
    length = int.from_bytes(data[14:18], "little")
    if length == 12:  # OS/2
        width, height, _, bits = struct.unpack("<4H", data[18:26])
        compression = 0
    elif length >= 40 and len(data) >= 54:
        width, height, _, bits, compression = struct.unpack("<iiHHI", data[18:34])
    else:
        raise damaged("BMP", "its header makes no sense")
    if compression in _COMPRESSED:
        raise UnsupportedMedia(f"the file is {_COMPRESSED[compression]} BMP, which is not read")
    if compression not in _PLAIN or bits not in {1, 2, 4, 8, 16, 24, 32}:
        raise damaged("BMP", "its header makes no sense")
    if width <= 0 or height == 0:
        raise UnreadableMedia("the photo has no pixels")
    return Header(
        kind="BMP", data=_whole(data, width * bits, abs(height)), size=(width, abs(height))
    )


def _whole(data: bytes, row_bits: int, rows: int) -> bytes:
    """With zeros for the end of a file that is cut off in its second half."""
    pixels = (row_bits + 31) // 32 * 4 * rows
    missing = int.from_bytes(data[10:14], "little") + pixels - len(data)
    return data + bytes(missing) if 0 < missing <= pixels // 2 else data
