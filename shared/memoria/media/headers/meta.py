"""What the ``meta`` box of a HEIF or AVIF tells of its items (ISO/IEC 23008-12)."""

from dataclasses import dataclass, field

from memoria.media.headers.boxes import Boxes
from memoria.media.headers.header import damaged, excessive

MOST_ITEMS = 5_000  # 200 megapixels in tiles of 512 × 512 are 800
MOST_EXTENTS = 20_000
MOST_READ = 3  # times the file's length, of all items together: they may lie over each other


@dataclass(slots=True)
class Meta:
    """What a ``meta`` box tells."""

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)  # item -> its type
    places: dict[int, list[tuple[int, int, int]]] = field(
        default_factory=dict
    )  # method, at, length
    properties: list[tuple[bytes, int, int]] = field(default_factory=list)  # kind, start, end
    owned: dict[int, list[int]] = field(default_factory=dict)  # item -> properties, from 1
    store: tuple[int, int] = (0, 0)  # idat
    derived: dict[int, list[int]] = field(default_factory=dict)  # item -> those it is made of
    read: int = 0  # bytes of items so far
    extents: int = 0  # their parts so far: those of no length take no room in the file
    located: int = 0  # items that lie somewhere so far
    references: int = 0  # to items that others are made of, so far
    owners: int = 0  # items that own properties so far


def read_meta(boxes: Boxes, at: int, stop: int) -> Meta:
    """Read the body of a ``meta`` box. Raises UnreadableMedia."""
    meta = Meta()
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
        elif name == b"iref":
            _references(boxes, meta, start, end)
        elif name == b"iprp":
            _properties(boxes, meta, start, end)
    return meta


def _items(boxes: Boxes, meta: Meta, at: int, stop: int) -> None:
    for name, start, _ in boxes.within(at, stop):
        version = boxes.number(start, 1)
        if name == b"infe" and version >= 2:
            wide = 4 if version >= 3 else 2
            item = boxes.number(start + 4, wide)
            meta.kinds[item] = boxes.data[start + 6 + wide : start + 10 + wide]


def _locations(boxes: Boxes, meta: Meta, start: int, end: int) -> None:
    version, sizes = boxes.number(start, 1), boxes.number(start + 4, 2)
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide, at = 4 if version == 2 else 2, start + 6
    items = boxes.number(at, wide)
    meta.located += items
    if meta.located > MOST_ITEMS:
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
        meta.extents += count
        if meta.extents > MOST_EXTENTS or at > end:
            raise excessive(boxes.kind, MOST_EXTENTS, "extents")
        for _ in range(count):
            at += index if version else 0
            place = method, origin + boxes.number(at, offset), boxes.number(at + offset, length)
            meta.places.setdefault(item, []).append(place)
            at += offset + length


def _references(boxes: Boxes, meta: Meta, start: int, end: int) -> None:
    wide = 4 if boxes.number(start, 1) else 2
    for name, at, stop in boxes.within(start + 4, end):
        if name == b"dimg":
            first = at + wide + 2
            count = min(boxes.number(at + wide, 2), (stop - first) // wide)
            meta.references += count
            if meta.references > MOST_EXTENTS:
                raise excessive(boxes.kind, MOST_EXTENTS, "references")
            made_of = [boxes.number(first + i * wide, wide) for i in range(count)]
            meta.derived.setdefault(boxes.number(at, wide), made_of)


def _properties(boxes: Boxes, meta: Meta, at: int, stop: int) -> None:
    for name, start, end in boxes.within(at, stop):
        if name == b"ipco":
            meta.properties = list(boxes.within(start, end))
        elif name == b"ipma":
            _associations(boxes, meta, start, end)


def _associations(boxes: Boxes, meta: Meta, start: int, end: int) -> None:
    version, flags = boxes.number(start, 1), boxes.number(start + 3, 1)
    wide, each, at = 4 if version else 2, 2 if flags & 1 else 1, start + 8
    for _ in range(min(boxes.number(start + 4, 4), MOST_ITEMS)):
        if at >= end:
            return
        meta.owners += 1
        if meta.owners > MOST_ITEMS:
            raise excessive(boxes.kind, MOST_ITEMS, "pictures")
        item, count = boxes.number(at, wide), boxes.number(at + wide, 1)
        at += wide + 1
        mask = 0x7FFF if each == 2 else 0x7F
        numbers = [boxes.number(at + i * each, each) & mask for i in range(count)]
        meta.owned.setdefault(item, []).extend(n for n in numbers if 1 <= n <= len(meta.properties))
        at += count * each


def item_bytes(boxes: Boxes, meta: Meta, item: int) -> bytes:
    """An item's bytes."""
    return b"".join(item_parts(boxes, meta, item))


def item_parts(boxes: Boxes, meta: Meta, item: int) -> list[memoryview]:
    """An item's bytes, where they lie. Raises UnreadableMedia where items lie over each other."""
    parts = []
    for method, at, length in meta.places.get(item, ()):
        start, stop = meta.store if method == 1 else (0, len(boxes.data))
        part = memoryview(boxes.data)[
            start + at : min(start + at + length, stop) if length else stop
        ]
        meta.read += len(part)
        if meta.read > MOST_READ * len(boxes.data):
            raise damaged(boxes.kind, "its pictures lie over each other")
        parts.append(part)
    return parts
