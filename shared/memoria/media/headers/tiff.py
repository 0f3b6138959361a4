"""TIFF: the page that holds the photo, told again in a directory of our own.

Decoders see a file whose only directory has the tags that pixels need, each of a length that makes
sense: no second page, no EXIF, no XMP, no tag of millions of values.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from memoria.errors import UnreadableMedia
from memoria.media.headers.header import Header, damaged, excessive

MOST_PAGES = 100
MOST_ENTRIES = 1000  # of a directory
MOST_PARTS = 500_000  # strips or tiles
_LEAST_TILE = 8  # pixels a side: of one pixel each they take minutes

_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS = 254, 255, 256, 257, 258
_COMPRESSION, _PHOTOMETRIC = 259, 262
_STRIPS, _ORIENTATION, _SAMPLES, _ROWS, _STRIP_BYTES = 273, 274, 277, 278, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _SUB_IFDS = 322, 323, 324, 325, 330
_FORMAT, _TABLES, _CFA, _DNG = 339, 347, 33421, 50706
_KEPT = frozenset(  # what a decoder needs to know
    {
        _WIDTH,
        _HEIGHT,
        _BITS,
        _COMPRESSION,
        _PHOTOMETRIC,
        266,
        _STRIPS,
        _SAMPLES,
        _ROWS,
        _STRIP_BYTES,
    }
    | {284, 292, 293, 317, 320, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, 332, 338, _FORMAT}
    | {_TABLES, *range(512, 522), 529, 530, 531, 532}
)
_PARTS = frozenset({_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES})
_LONG_ONES = {320: 3 << 16, _TABLES: 1 << 16, 519: 4, 520: 4, 521: 4}
_MOST_VALUES = 16  # of any other tag
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}  # BigTIFF's
_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_NUMBERS_OF = {1: "whole", 2: "signed", 3: "floating"}
_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946})
_NAMES = {
    6: "old JPEG",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
}
_RAW_PHOTOMETRICS = {32803, 34892}  # a colour filter array, linear raw


@dataclass(frozen=True, slots=True, kw_only=True)
class TiffHeader(Header):
    """A TIFF's header; ``data`` says BlackIsZero where the file says WhiteIsZero."""

    negative: bool = False  # to be turned after decoding
    bits: int = 8  # of a sample
    samples: str = "whole"  # or signed, floating: what kind of numbers they are
    compression: int = 1

    @property
    def is_plain(self) -> bool:
        """Whether its samples are such as every decoder reads."""
        return self.samples == "whole" and self.bits in {1, 2, 4, 8, 16}

    @property
    def is_coded_plainly(self) -> bool:
        """Whether its samples are coded in a way that every decoder reads."""
        return self.compression in _COMPRESSIONS

    @property
    def is_strange(self) -> bool:
        """Whether decoders make something of its numbers, but not what is meant."""
        return self.samples not in {"whole", "floating"} and self.bits > 8

    @property
    def is_not_read(self) -> str:
        """Why it is refused, in a sentence."""
        coded = _NAMES.get(self.compression, f"compression {self.compression}")
        what = f"of {self.samples} numbers of {self.bits} bits"
        if not self.is_coded_plainly:
            what = f"with {coded}"
        return f"the file is a TIFF {what}, which is not read"


class RawPhoto(Exception):
    """The file is a camera's RAW file that looks like a TIFF."""


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: int
    count: int
    body: memoryview = field(repr=False)  # the values, where they are few enough to matter


@dataclass(frozen=True, slots=True)
class _Reader:
    """Numbers of one byte order, in a classic TIFF or a BigTIFF."""

    data: bytes
    order: str  # < or >
    big: bool

    def number(self, at: int, size: int) -> int:
        order = "little" if self.order == "<" else "big"
        return int.from_bytes(self.data[at : at + size], order)  # type: ignore[arg-type]

    def page(self, at: int) -> tuple[dict[int, _Entry], int]:
        """The tags of a directory, and where the next one is; 0 for none."""
        counted, entry, offset = (8, 20, 8) if self.big else (2, 12, 4)
        entries, start = self.number(at, counted), at + counted
        if entries > MOST_ENTRIES:
            raise excessive("TIFF", MOST_ENTRIES, "tags")
        if not entries or start + entries * entry > len(self.data):
            raise damaged("TIFF", "its directory is cut off")
        end = start + entries * entry
        tags: dict[int, _Entry] = {}
        for at_entry in range(start, end, entry):
            tag = self.number(at_entry, 2)
            if tag not in tags:
                tags[tag] = self._entry(at_entry, offset)
        return tags, self.number(end, offset)

    def _entry(self, at: int, offset: int) -> _Entry:
        tag, kind, count = self.number(at, 2), self.number(at + 2, 2), self.number(at + 4, offset)
        size = count * _SIZES.get(kind, 1)
        inline = at + 4 + offset
        if count > _allowed(tag):
            return _Entry(kind, count, memoryview(b""))
        start = inline if size <= offset else self.number(inline, offset)
        return _Entry(kind, count, memoryview(self.data)[start : start + size])

    def values(self, tags: dict[int, _Entry], tag: int, default: int = 0) -> tuple[int, ...]:
        """Whole numbers of a tag; the default where it is missing or makes no sense."""
        entry = tags.get(tag)
        code = _NUMBERS.get(entry.kind) if entry else None
        if entry is None or code is None or not entry.count:
            return (default,)
        size = _SIZES[entry.kind]
        if len(entry.body) < entry.count * size:
            return (default,)
        return struct.unpack(f"{self.order}{entry.count}{code}", entry.body)


def read_tiff(data: bytes) -> TiffHeader:
    """Walk a TIFF. Raises UnreadableMedia, UnsupportedMedia, and RawPhoto for a camera's RAW."""
    big = data[2:3] == b"+" or data[3:4] == b"+"
    reader = _Reader(data, "<" if data[:1] == b"I" else ">", big)
    pages = list(_pages(reader))
    if not pages:
        raise damaged("TIFF", "it has no page")
    if any(_is_sensor(reader, page) for page in pages):
        raise RawPhoto
    tags = next((page for page in pages if _is_whole(reader, page)), pages[0])

    def one(tag: int, default: int = 0) -> int:
        return reader.values(tags, tag, default)[0]

    width, height = one(_WIDTH), one(_HEIGHT)
    if not width or not height:
        raise UnreadableMedia("the photo has no pixels")
    return TiffHeader(
        kind="TIFF",
        data=_retold(reader, tags),
        size=(width, height),
        orientation=orientation if 1 <= (orientation := one(_ORIENTATION, 1)) <= 8 else 1,
        largest=_largest_tile(tags, one, width, height),
        negative=one(_PHOTOMETRIC, 1) == 0,
        bits=one(_BITS, 1),
        samples=_NUMBERS_OF.get(one(_FORMAT, 1), "strange"),
        compression=one(_COMPRESSION, 1),
    )


def _pages(reader: _Reader) -> Iterator[dict[int, _Entry]]:
    """The chain of pages, each followed by those that hang on it."""
    ahead, seen = [reader.number(8, 8) if reader.big else reader.number(4, 4)], set[int]()
    while ahead and len(seen) < MOST_PAGES:
        at = ahead.pop(0)
        if not 0 < at < len(reader.data) or at in seen:
            continue
        seen.add(at)
        try:
            tags, following = reader.page(at)
        except UnreadableMedia:
            if len(seen) > 1:  # a page behind the photo is not needed
                continue
            raise
        yield tags
        ahead = [*reader.values(tags, _SUB_IFDS), *ahead, following]


def _is_whole(reader: _Reader, tags: dict[int, _Entry]) -> bool:
    """Neither a reduced copy nor a mask of another page, and with pixels."""
    reduced = reader.values(tags, _SUBFILE)[0] & 0b101 or reader.values(tags, _OLD_SUBFILE)[0] == 2
    return not reduced and reader.values(tags, _WIDTH)[0] > 0


def _is_sensor(reader: _Reader, tags: dict[int, _Entry]) -> bool:
    """Whether a page belongs to a camera's RAW file: DNG, NEF, ARW…"""
    sensor = reader.values(tags, _PHOTOMETRIC, 1)[0] in _RAW_PHOTOMETRICS
    return sensor or _DNG in tags or _CFA in tags


def _largest_tile(
    tags: dict[int, _Entry], one: Callable[[int], int], width: int, height: int
) -> int:
    """The pixels of a tile, where there are tiles."""
    parts = max((tags[tag].count for tag in _PARTS if tag in tags), default=0)
    if parts > MOST_PARTS:
        raise excessive("TIFF", MOST_PARTS, "strips or tiles")
    if _TILES not in tags:
        return 0
    across, down = one(_TILE_WIDTH), one(_TILE_HEIGHT)
    if min(across, down) < _LEAST_TILE:
        raise damaged("TIFF", f"its tiles have {across} × {down} pixels")
    if across > max(2 * width, 1024) or down > max(2 * height, 1024):
        raise damaged("TIFF", f"its tiles of {across} × {down} pixels are larger than the photo")
    return -(-width // across) * across * -(-height // down) * down


def _allowed(tag: int) -> int:
    """How many values of a tag are read at most."""
    return MOST_PARTS if tag in _PARTS else _LONG_ONES.get(tag, _MOST_VALUES)


def _retold(reader: _Reader, tags: dict[int, _Entry]) -> bytes:
    """The same file with one directory behind it, of the tags that are kept."""
    kept = {tag: tags[tag] for tag in sorted(_KEPT & tags.keys()) if _fits(tags[tag])}
    if 0 in reader.values(tags, _PHOTOMETRIC, 1)[:1]:
        kept[_PHOTOMETRIC] = _Entry(3, 1, memoryview(struct.pack(f"{reader.order}H", 1)))
    counted, offset = ("Q", "Q") if reader.big else ("H", "I")
    width = struct.calcsize(offset)
    start = len(reader.data) + (len(reader.data) & 1)
    values = start + struct.calcsize(f"={counted}") + len(kept) * (4 + 2 * width) + width
    entries, bodies = [], b""
    for tag, entry in kept.items():
        entries.append(struct.pack(f"{reader.order}HH{offset}", tag, entry.kind, entry.count))
        if len(entry.body) <= width:
            entries.append(bytes(entry.body).ljust(width, b"\0"))
        else:
            entries.append(struct.pack(reader.order + offset, values + len(bodies)))
            bodies += bytes(entry.body) + b"\0" * (len(entry.body) & 1)
    directory = struct.pack(reader.order + counted, len(kept)) + b"".join(entries) + bytes(width)
    head = reader.data[: 8 if reader.big else 4] + struct.pack(reader.order + offset, start)
    padding = bytes(start - len(reader.data))
    return b"".join((head, reader.data[len(head) :], padding, directory, bodies))


def _fits(entry: _Entry) -> bool:
    size = _SIZES.get(entry.kind)
    return size is not None and entry.count > 0 and len(entry.body) == entry.count * size
