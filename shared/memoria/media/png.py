"""What is left of a PNG that is cut off or damaged."""

import zlib

from memoria.errors import UnreadableMedia
from memoria.media.cut import READABLE_SHARE
from memoria.media.headers import Header
from memoria.media.headers.png import chunk, chunks, row_bytes

_LAST_FILTER = 4  # of a row: what is greater is damage that inflates
_STEP = 4096  # bytes inflated at a time: those before the damage count


def completed(header: Header) -> bytes:
    """The file with black for the rows that are missing, as browsers show it.

    Raises UnreadableMedia where more than half is missing; where rows are interlaced, so that
    every second one is; and for 16 bits, which take more memory than the header's arithmetic says.
    """
    start, packed = None, bytearray()
    for kind, begin, end in chunks(header.data):
        if kind == b"IDAT":
            start = start or begin - 8
            packed += header.data[begin:end]  # in place: there may be 100,000 of them
    head = header.data[:start]
    depth, interlaced = head[24], head[28]
    if interlaced or depth == 16:
        raise UnreadableMedia("the PNG is cut off or damaged")
    row = row_bytes(head[16:29])
    needed = row * header.size[1]
    raw = _inflated(packed, needed)
    del raw[next((at for at in range(0, len(raw), row) if raw[at] > _LAST_FILTER), len(raw)) :]
    if len(raw) < READABLE_SHARE * needed:
        raise UnreadableMedia("the PNG is cut off or damaged: less than half of it is there")
    raw += bytes(needed - len(raw))
    return head + chunk(b"IDAT", zlib.compress(raw, 1)) + chunk(b"IEND", b"")


def _inflated(packed: bytearray, most: int) -> bytearray:
    """As much as comes out before the damage, at most so many bytes."""
    inflate, raw = zlib.decompressobj(-15), bytearray()  # no header, no checksum
    try:
        for at in range(2, len(packed), _STEP):
            raw += inflate.decompress(packed[at : at + _STEP], most - len(raw))
            if len(raw) >= most:
                break
    except zlib.error:
        pass
    return raw
