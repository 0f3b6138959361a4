"""Directories of a TIFF: read with limits, and one of our own written behind the file."""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from memoria.media.headers.header import damaged, excessive


class Tag(IntEnum):
    """The tags that mean something to us."""

    SUBFILE = 254
    OLD_SUBFILE = 255
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    STRIPS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS = 278
    STRIP_BYTES = 279
    PLANAR = 284
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILES = 324
    TILE_BYTES = 325
    SUB_IFDS = 330
    FORMAT = 339
    TABLES = 347
    CFA = 33421
    DNG = 50706


UNDEFINED = 4  # of FORMAT: read as whole numbers, as TIFF 6.0 says
MOST_ENTRIES = 1000  # of a directory
MOST_PARTS = 500_000  # strips or tiles
_OTHERS = {266, 292, 293, 317, 320, 332, 338, *range(512, 522), *range(529, 533)}
_NOT_OF_PIXELS = {Tag.SUBFILE, Tag.OLD_SUBFILE, Tag.ORIENTATION, Tag.SUB_IFDS, Tag.CFA, Tag.DNG}
_KEPT = frozenset(Tag) - _NOT_OF_PIXELS | _OTHERS  # what a decoder needs to know
PARTS = frozenset({Tag.STRIPS, Tag.STRIP_BYTES, Tag.TILES, Tag.TILE_BYTES})
_LONG_ONES = {320: 3 << 16, Tag.TABLES: 1 << 16, 519: 4, 520: 4, 521: 4}
_MOST_VALUES = 16  # of any other tag
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}  # BigTIFF's
_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


@dataclass(frozen=True, slots=True)
class Entry:
    kind: int
    count: int
    body: memoryview = field(repr=False)  # the values, where they are few enough to matter


@dataclass(frozen=True, slots=True)
class Reader:
    """Numbers of one byte order, in a classic TIFF or a BigTIFF."""

    data: bytes
    order: str  # < or >
    big: bool

    def number(self, at: int, size: int) -> int:
        order = "little" if self.order == "<" else "big"
        return int.from_bytes(self.data[at : at + size], order)  # type: ignore[arg-type]

    def page(self, at: int) -> tuple[dict[int, Entry], int]:
        """The tags of a directory, and where the next one is; 0 for none."""
        counted, entry, offset = (8, 20, 8) if self.big else (2, 12, 4)
        entries, start = self.number(at, counted), at + counted
        if entries > MOST_ENTRIES:
            raise excessive("TIFF", MOST_ENTRIES, "tags")
        if not entries or start + entries * entry > len(self.data):
            raise damaged("TIFF", "its directory is cut off")
        end = start + entries * entry
        tags: dict[int, Entry] = {}
        for at_entry in range(start, end, entry):
            tag = self.number(at_entry, 2)
            if tag not in tags:
                tags[tag] = self._entry(at_entry, offset)
        return tags, self.number(end, offset)

    def _entry(self, at: int, offset: int) -> Entry:
        tag, kind, count = self.number(at, 2), self.number(at + 2, 2), self.number(at + 4, offset)
        size = count * _SIZES.get(kind, 1)
        inline = at + 4 + offset
        if count > _allowed(tag):
            return Entry(kind, count, memoryview(b""))
        start = inline if size <= offset else self.number(inline, offset)
        return Entry(kind, count, memoryview(self.data)[start : start + size])

    def values(self, tags: dict[int, Entry], tag: int, default: int = 0) -> tuple[int, ...]:
        """Whole numbers of a tag; the default where it is missing or makes no sense."""
        entry = tags.get(tag)
        code = _NUMBERS.get(entry.kind) if entry else None
        if entry is None or code is None or not entry.count:
            return (default,)
        size = _SIZES[entry.kind]
        if len(entry.body) < entry.count * size:
            return (default,)
        return struct.unpack(f"{self.order}{entry.count}{code}", entry.body)


def _allowed(tag: int) -> int:
    """How many values of a tag are read at most."""
    return MOST_PARTS if tag in PARTS else _LONG_ONES.get(tag, _MOST_VALUES)


def retold(reader: Reader, tags: dict[int, Entry]) -> bytes:
    """The same file with one directory behind it, of the tags that are kept.

    Always a classic TIFF, also for a BigTIFF: not every decoder reads all of that. Raises
    struct.error where it lies further away than a classic one can say.
    """
    kept = {tag: _classic(reader, tags[tag]) for tag in sorted(_KEPT & tags.keys())}
    kept = {tag: entry for tag, entry in kept.items() if _fits(entry)}
    if 0 in reader.values(tags, Tag.PHOTOMETRIC, 1)[:1]:
        kept[Tag.PHOTOMETRIC] = Entry(3, 1, memoryview(struct.pack(f"{reader.order}H", 1)))
    if reader.values(tags, Tag.FORMAT)[0] == UNDEFINED:
        kept.pop(Tag.FORMAT, None)
    start = len(reader.data) + (len(reader.data) & 1)
    values = start + 2 + 12 * len(kept) + 4
    entries, bodies = [], b""
    for tag, entry in kept.items():
        entries.append(struct.pack(f"{reader.order}HHI", tag, entry.kind, entry.count))
        if len(entry.body) <= 4:
            entries.append(bytes(entry.body).ljust(4, b"\0"))
        else:
            entries.append(struct.pack(f"{reader.order}I", values + len(bodies)))
            bodies += bytes(entry.body) + b"\0" * (len(entry.body) & 1)
    directory = struct.pack(f"{reader.order}H", len(kept)) + b"".join(entries) + bytes(4)
    head = reader.data[:2] + struct.pack(f"{reader.order}HI", 42, start)
    padding = bytes(start - len(reader.data))
    return b"".join((head, reader.data[len(head) :], padding, directory, bodies))


def _classic(reader: Reader, entry: Entry) -> Entry:
    """With numbers of four bytes for those of eight."""
    if entry.kind not in {16, 18} or not _fits(entry):
        return entry
    numbers = struct.unpack(f"{reader.order}{entry.count}Q", entry.body)
    body = struct.pack(f"{reader.order}{entry.count}I", *numbers)
    return Entry(4, entry.count, memoryview(body))


def _fits(entry: Entry) -> bool:
    size = _SIZES.get(entry.kind)
    return size is not None and entry.count > 0 and len(entry.body) == entry.count * size
