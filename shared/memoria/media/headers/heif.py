"""HEIF and AVIF: boxes, and the largest picture that any of them names (ISO/IEC 23008-12).

The size that ``ispe`` tells may be a lie: a decoder makes room for the one in the codec's own
sequence header, for a grid's, and for that of every tile.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from memoria.errors import UnsupportedMedia
from memoria.media.headers.bits import (
    MOST_UNITS,
    configured_units,
    largest_av1,
    largest_hevc,
    nal_units,
)
from memoria.media.headers.boxes import Boxes
from memoria.media.headers.header import Header, damaged, excessive
from memoria.media.headers.meta import Meta, item_bytes, read_meta
from memoria.media.headers.tiles import TiledHeader, grid_size, read_tiles

_UNREAD = {b"avc1": "H.264", b"j2k1": "JPEG 2000", b"vvc1": "VVC", b"unci": "plain samples"}
_OF_TRACKS = frozenset({b"msf1", b"hevc", b"hevx", b"hevm", b"hevs", b"avis"})
_KNOWN = {
    "HEIF": {b"heic", b"heix", b"hevc", b"mif1", b"msf1"},
    "AVIF": {b"avif", b"mif1", b"msf1"},
}
_TURNS = {0: 1, 1: 8, 2: 3, 3: 6}  # irot, in quarter turns to the left -> EXIF's orientation
_MIRRORED = {  # what imir does after irot: (orientation, axis) -> orientation
    (1, 0): 4, (1, 1): 2, (3, 0): 2, (3, 1): 4, (6, 0): 7, (6, 1): 5, (8, 0): 5, (8, 1): 7,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class HeifHeader(Header):
    """A HEIF's or AVIF's header."""

    by_tiles: TiledHeader | None = None  # the same photo, where it is a grid of plain tiles


def read_heif(data: bytes, kind: str) -> HeifHeader:
    """Walk a HEIF or AVIF. Raises UnreadableMedia, UnsupportedMedia."""
    boxes = Boxes(data, kind)
    found = boxes.first(0, len(data), b"meta")
    if found is None:
        raise damaged(kind, "it has no description of a picture")
    meta = read_meta(boxes, found[0] + 4, found[1])
    primary = meta.kinds.get(meta.primary, b"")
    if primary in _UNREAD:
        raise UnsupportedMedia(f"the file is a HEIF of {_UNREAD[primary]}, which is not read")
    own = [meta.properties[i - 1] for i in meta.owned.get(meta.primary, ())]
    ispe = next((start for name, start, _ in own if name == b"ispe"), None)
    if ispe is None:
        raise damaged(kind, "its picture has no size")
    turn, coded = _turn(boxes, own), max(_coded_sizes(boxes, meta), default=0)
    has_frame = any(name == b"clap" for name, _, _ in own)
    missing = _missing_bytes(boxes, meta)
    return HeifHeader(
        kind=kind,
        data=_as_still(boxes) + bytes(missing),
        missing=missing,
        size=(boxes.number(ispe + 4, 4), boxes.number(ispe + 8, 4)),
        orientation=turn if kind == "AVIF" else 1,  # libheif turns by itself
        largest=max(coded, *_told_sizes(boxes, meta)),
        by_tiles=None if has_frame else read_tiles(boxes, meta, turn, coded),
    )


def _missing_bytes(boxes: Boxes, meta: Meta) -> int:
    """By how much the file is shorter than its items say, at most as much again."""
    places = (place for item in meta.places.values() for place in item)
    end = max((at + length for method, at, length in places if method == 0), default=0)
    return min(max(0, end - len(boxes.data)), len(boxes.data))


def _told_sizes(boxes: Boxes, meta: Meta) -> Iterator[int]:
    """Pixels of every picture that the file's boxes name."""
    for name, start, _ in meta.properties:
        if name == b"ispe":
            yield boxes.number(start + 4, 4) * boxes.number(start + 8, 4)
    for item, kind in meta.kinds.items():
        if kind == b"grid":
            yield math.prod(grid_size(item_bytes(boxes, meta, item)))


def _coded_sizes(boxes: Boxes, meta: Meta) -> Iterator[int]:
    """Pixels of every picture that a codec's own headers name."""
    lengths: dict[int, int] = {}
    left = iter(range(MOST_UNITS))
    for number, (name, start, end) in enumerate(meta.properties, 1):
        if name == b"hvcC":
            hvcc = boxes.data[start:end]
            lengths[number] = (hvcc[21] & 3) + 1 if len(hvcc) > 21 else 4
            yield largest_hevc(configured_units(hvcc, left))
        elif name == b"av1C":
            yield largest_av1(boxes.data[start + 4 : end], left)
    for item, kind in meta.kinds.items():
        if kind == b"av01":
            yield largest_av1(item_bytes(boxes, meta, item), left)
        elif kind == b"hvc1":
            size = next((lengths[n] for n in meta.owned.get(item, ()) if n in lengths), 4)
            yield largest_hevc(nal_units(item_bytes(boxes, meta, item), size, left))
    if next(left, None) is None:
        raise excessive(boxes.kind, MOST_UNITS, "parts")


def _turn(boxes: Boxes, own: list[tuple[bytes, int, int]]) -> int:
    """EXIF's orientation for what ``irot`` and ``imir`` say."""
    angle = next((boxes.number(start, 1) & 3 for name, start, _ in own if name == b"irot"), 0)
    axis = next((boxes.number(start, 1) & 1 for name, start, _ in own if name == b"imir"), None)
    turned = _TURNS[angle]
    return turned if axis is None else _MIRRORED[turned, axis]


def _as_still(boxes: Boxes) -> bytes:
    """The same file as a still picture: a decoder that sees tracks would play them.

    Of a brand that decoders know: many more promise the same, and there is a picture.
    """
    outer = list(boxes.within(0, len(boxes.data)))
    tracks = [start for name, start, _ in outer if name == b"moov"]
    if not tracks and boxes.data[8:12] in _KNOWN[boxes.kind]:
        return boxes.data
    changed = bytearray(boxes.data)
    brand = b"avif" if boxes.kind == "AVIF" else b"heic"
    _, start, end = outer[0]  # ftyp: the brand, a version, and brands that the file is good for
    changed[start : start + 4] = brand
    for at in range(start + 8, end - 3, 4):
        if boxes.data[at : at + 4] in _OF_TRACKS:
            changed[at : at + 4] = brand
    for start in tracks:
        name = changed.rindex(b"moov", 0, start)
        changed[name : name + 4] = b"free"
    return bytes(changed)
