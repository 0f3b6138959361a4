"""HEIF and AVIF: boxes, and the largest picture that any of them names (ISO/IEC 23008-12).

The size that ``ispe`` tells may be a lie: a decoder makes room for the one in the codec's own
sequence header, for a grid's, and for that of every tile.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from memoria.errors import UnsupportedMedia
from memoria.media.headers.bits import configured_units, largest_av1, largest_hevc, nal_units
from memoria.media.headers.header import Header, damaged, excessive

MOST_BOXES = 20_000
MOST_ITEMS = 5_000  # 200 megapixels in tiles of 512 × 512 are 800
MOST_EXTENTS = 20_000
_UNREAD = {b"avc1": "H.264", b"j2k1": "JPEG 2000", b"vvc1": "VVC", b"unci": "plain samples"}
_TURNS = {0: 1, 1: 8, 2: 3, 3: 6}  # irot, in quarter turns to the left -> EXIF's orientation
_MIRRORED = {  # what imir does after irot: (orientation, axis) -> orientation
    (1, 0): 4, (1, 1): 2, (3, 0): 2, (3, 1): 4, (6, 0): 7, (6, 1): 5, (8, 0): 5, (8, 1): 7,
}  # fmt: skip


@dataclass(slots=True)
class _Boxes:
    """A file's boxes, counted."""

    data: bytes
    kind: str
    count: int = 0

    def within(self, at: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
        """Kind, start and end of each box's body."""
        while at + 8 <= stop:
            self.count += 1
            if self.count > MOST_BOXES:
                raise excessive(self.kind, MOST_BOXES, "boxes")
            length, start = self.number(at, 4), at + 8
            if length == 1:
                length, start = self.number(at + 8, 8), at + 16
            end = stop if length == 0 else min(at + length, stop)
            if end < start:
                raise damaged(self.kind, "a box is shorter than its own head")
            yield self.data[at + 4 : at + 8], start, end
            at = end

    def first(self, at: int, stop: int, kind: bytes) -> tuple[int, int] | None:
        """Start and end of the first box of a kind."""
        return next(((s, e) for found, s, e in self.within(at, stop) if found == kind), None)

    def number(self, at: int, size: int) -> int:
        return int.from_bytes(self.data[at : at + size], "big")


@dataclass(slots=True)
class _Meta:
    """What a ``meta`` box tells."""

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)  # item -> its type
    places: dict[int, list[tuple[int, int, int]]] = field(
        default_factory=dict
    )  # method, at, length
    properties: list[tuple[bytes, int, int]] = field(default_factory=list)  # kind, start, end
    owned: dict[int, list[int]] = field(default_factory=dict)  # item -> properties, from 1
    store: tuple[int, int] = (0, 0)  # idat
    read: int = 0  # bytes of items so far: they may lie over each other


def read_heif(data: bytes, kind: str) -> Header:
    """Walk a HEIF or AVIF. Raises UnreadableMedia, UnsupportedMedia."""
    boxes = _Boxes(data, kind)
    found = boxes.first(0, len(data), b"meta")
    if found is None:
        raise damaged(kind, "it has no description of a picture")
    meta = _meta(boxes, found[0] + 4, found[1])
    primary = meta.kinds.get(meta.primary, b"")
    if primary in _UNREAD:
        raise UnsupportedMedia(f"the file is a HEIF of {_UNREAD[primary]}, which is not read")
    sizes = _sizes(boxes, meta)
    own = [meta.properties[i - 1] for i in meta.owned.get(meta.primary, ())]
    ispe = next((start for name, start, _ in own if name == b"ispe"), None)
    if ispe is None:
        raise damaged(kind, "its picture has no size")
    return Header(
        kind=kind,
        data=_without_tracks(boxes),
        size=(boxes.number(ispe + 4, 4), boxes.number(ispe + 8, 4)),
        orientation=_turn(boxes, own) if kind == "AVIF" else 1,  # libheif turns by itself
        largest=max(sizes, default=0),
    )


def _meta(boxes: _Boxes, at: int, stop: int) -> _Meta:
    meta = _Meta()
    for name, start, end in boxes.within(at, stop):
        version = boxes.number(start, 1)
        if name == b"pitm":
            meta.primary = boxes.number(start + 4, 4 if version else 2)
        elif name == b"iinf":
            _items(boxes, meta, start + (8 if version else 6), end)
        elif name == b"iloc":
            _locations(boxes, meta, start, end)
        elif name == b"idat":
            meta.store = start, end
        elif name == b"iprp":
            _properties(boxes, meta, start, end)
    return meta


def _items(boxes: _Boxes, meta: _Meta, at: int, stop: int) -> None:
    for name, start, _ in boxes.within(at, stop):
        version = boxes.number(start, 1)
        if name == b"infe" and version >= 2:
            wide = 4 if version >= 3 else 2
            item = boxes.number(start + 4, wide)
            meta.kinds[item] = boxes.data[start + 6 + wide : start + 10 + wide]


def _locations(boxes: _Boxes, meta: _Meta, start: int, end: int) -> None:
    version, sizes = boxes.number(start, 1), boxes.number(start + 4, 2)
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide, at, extents = 4 if version == 2 else 2, start + 6, 0
    items = boxes.number(at, wide)
    if items > MOST_ITEMS:
        raise excessive(boxes.kind, MOST_ITEMS, "pictures")
    at += wide
    for _ in range(items):
        item = boxes.number(at, wide)
        at += wide
        method = boxes.number(at, 2) & 15 if version else 0
        at += 4 if version else 2
        origin = boxes.number(at, base)
        count = boxes.number(at + base, 2)
        at += base + 2
        extents += count
        if extents > MOST_EXTENTS or at > end:
            raise excessive(boxes.kind, MOST_EXTENTS, "extents")
        for _ in range(count):
            at += index if version else 0
            place = method, origin + boxes.number(at, offset), boxes.number(at + offset, length)
            meta.places.setdefault(item, []).append(place)
            at += offset + length


def _properties(boxes: _Boxes, meta: _Meta, at: int, stop: int) -> None:
    for name, start, end in boxes.within(at, stop):
        if name == b"ipco":
            meta.properties = list(boxes.within(start, end))
        elif name == b"ipma":
            _associations(boxes, meta, start, end)


def _associations(boxes: _Boxes, meta: _Meta, start: int, end: int) -> None:
    version, flags = boxes.number(start, 1), boxes.number(start + 3, 1)
    wide, each, at = 4 if version else 2, 2 if flags & 1 else 1, start + 8
    for _ in range(min(boxes.number(start + 4, 4), MOST_ITEMS)):
        if at >= end:
            return
        item, count = boxes.number(at, wide), boxes.number(at + wide, 1)
        at += wide + 1
        mask = 0x7FFF if each == 2 else 0x7F
        numbers = [boxes.number(at + i * each, each) & mask for i in range(count)]
        meta.owned.setdefault(item, []).extend(n for n in numbers if 1 <= n <= len(meta.properties))
        at += count * each


def _sizes(boxes: _Boxes, meta: _Meta) -> Iterator[int]:
    """Pixels of every picture that anything in the file names."""
    lengths: dict[int, int] = {}
    for number, (name, start, end) in enumerate(meta.properties, 1):
        if name == b"ispe":
            yield boxes.number(start + 4, 4) * boxes.number(start + 8, 4)
        elif name == b"hvcC":
            hvcc = boxes.data[start:end]
            lengths[number] = (hvcc[21] & 3) + 1 if len(hvcc) > 21 else 4
            yield largest_hevc(configured_units(hvcc))
        elif name == b"av1C":
            yield largest_av1(boxes.data[start + 4 : end])
    for item, kind in meta.kinds.items():
        if kind == b"grid":
            yield _grid(_item(boxes, meta, item))
        elif kind == b"av01":
            yield largest_av1(_item(boxes, meta, item))
        elif kind == b"hvc1":
            size = next((lengths[n] for n in meta.owned.get(item, ()) if n in lengths), 4)
            yield largest_hevc(nal_units(_item(boxes, meta, item), size))


def _item(boxes: _Boxes, meta: _Meta, item: int) -> bytes:
    """An item's bytes."""
    parts = []
    for method, at, length in meta.places.get(item, ()):
        start, stop = meta.store if method == 1 else (0, len(boxes.data))
        part = boxes.data[start + at : min(start + at + length, stop) if length else stop]
        meta.read += len(part)
        if meta.read > 2 * len(boxes.data):
            raise damaged(boxes.kind, "its pictures lie over each other")
        parts.append(part)
    return b"".join(parts)


def _grid(body: bytes) -> int:
    wide = 4 if body[1:2] and body[1] & 1 else 2
    return int.from_bytes(body[4 : 4 + wide], "big") * int.from_bytes(
        body[4 + wide : 4 + 2 * wide], "big"
    )


def _turn(boxes: _Boxes, own: list[tuple[bytes, int, int]]) -> int:
    """EXIF's orientation for what ``irot`` and ``imir`` say."""
    angle = next((boxes.number(start, 1) & 3 for name, start, _ in own if name == b"irot"), 0)
    axis = next((boxes.number(start, 1) & 1 for name, start, _ in own if name == b"imir"), None)
    turned = _TURNS[angle]
    return turned if axis is None else _MIRRORED[turned, axis]


def _without_tracks(boxes: _Boxes) -> bytes:
    """The same file as a still picture: a decoder that sees tracks would play them."""
    tracks = [start for name, start, _ in boxes.within(0, len(boxes.data)) if name == b"moov"]
    if not tracks:
        return boxes.data
    changed = bytearray(boxes.data)
    changed[8:12] = b"avif" if boxes.kind == "AVIF" else b"heic"
    for start in tracks:
        name = changed.rindex(b"moov", 0, start)
        changed[name : name + 4] = b"free"
    return bytes(changed)
