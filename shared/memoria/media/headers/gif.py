"""GIF: the first picture, without comments and the pictures after it."""

import struct

from memoria.errors import UnreadableMedia
from memoria.media.headers.header import Header, damaged, excessive

MOST_BLOCKS = 500_000  # of 255 bytes each, 127 MB
_IMAGE, _EXTENSION, _CONTROL = 0x2C, 0x21, 0xF9


def read_gif(data: bytes) -> Header:
    """Walk a GIF up to the end of its first picture. Raises UnreadableMedia."""
    if len(data) < 13:
        raise damaged("GIF", "its header is cut off")
    at = 13 + _palette_bytes(data[10])
    screen, control, blocks = data[:at], b"", 0
    while data[at : at + 1] == bytes([_EXTENSION]):
        end, blocks = _after_blocks(data, at + 2, blocks + 1)  # an empty one counts as well
        if data[at + 1 : at + 2] == bytes([_CONTROL]):
            control = data[at:end]
        at = end
    if data[at : at + 1] != bytes([_IMAGE]) or len(data) < at + 11:
        raise damaged("GIF", "it has no picture")
    left, top, width, height = struct.unpack("<4H", data[at + 1 : at + 9])
    end, _ = _after_blocks(data, at + 11 + _palette_bytes(data[at + 9]), blocks)
    if not width or not height:
        raise UnreadableMedia("the photo has no pixels")
    missing = max(0, end - len(data))
    screen_width, screen_height = struct.unpack("<2H", data[6:10])
    return Header(
        kind="GIF",
        data=screen + control + data[at:end] + (bytes(missing) or b";"),
        missing=missing,
        size=(max(screen_width, left + width), max(screen_height, top + height)),
    )


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int, blocks: int) -> tuple[int, int]:
    """Where a chain of sub-blocks ends, and how many there were so far in the file."""
    while at < len(data) and data[at] and blocks <= MOST_BLOCKS:
        at += 1 + data[at]
        blocks += 1
    if blocks > MOST_BLOCKS:
        raise excessive("GIF", MOST_BLOCKS, "blocks")
    return at + 1, blocks
