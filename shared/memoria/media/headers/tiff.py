"""TIFF: the page that holds the photo, told again in a directory of our own.

Decoders see a file whose only directory has the tags that pixels need, each of a length that makes
sense: no second page, no EXIF, no XMP, no tag of millions of values.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from memoria.errors import UnreadableMedia
from memoria.media.headers.header import Header, damaged, excessive
from memoria.media.headers.tiff_directory import (
    MOST_PARTS,
    PARTS,
    UNDEFINED,
    Entry,
    Reader,
    Tag,
    retold,
)

MOST_PAGES = 100
_LEAST_TILE = 8  # pixels a side: of one pixel each they take minutes

_NUMBERS_OF = {1: "whole", 2: "signed", 3: "floating", UNDEFINED: "whole"}
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
    photometric: int = 1
    by_planes: bool = False  # all of one colour, then all of the next

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
        numbers = {"whole"} if self.by_planes else {"whole", "floating"}
        return self.samples not in numbers and self.bits > 8

    @property
    def is_not_read(self) -> str:
        """Why it is refused, in a sentence."""
        coded = _NAMES.get(self.compression, f"compression {self.compression}")
        what = f"of {self.samples} numbers of {self.bits} bits"
        if self.is_plain:
            what = f"of photometric interpretation {self.photometric} in an unusual layout"
        if not self.is_coded_plainly:
            what = f"with {coded}"
        return f"the file is a TIFF {what}, which is not read"


class RawPhoto(Exception):
    """The file is a camera's RAW file that looks like a TIFF."""


def read_tiff(data: bytes) -> TiffHeader:
    """Walk a TIFF. Raises UnreadableMedia, UnsupportedMedia, and RawPhoto for a camera's RAW."""
    big = data[2:3] == b"+" or data[3:4] == b"+"
    reader = Reader(data, "<" if data[:1] == b"I" else ">", big)
    pages = list(_pages(reader))
    if not pages:
        raise damaged("TIFF", "it has no page")
    if any(_is_sensor(reader, page) for page in pages):
        raise RawPhoto
    tags = next((page for page in pages if _is_whole(reader, page)), pages[0])

    def one(tag: int, default: int = 0) -> int:
        return reader.values(tags, tag, default)[0]

    width, height = one(Tag.WIDTH), one(Tag.HEIGHT)
    if not width or not height:
        raise UnreadableMedia("the photo has no pixels")
    return TiffHeader(
        kind="TIFF",
        data=retold(reader, tags),
        size=(width, height),
        orientation=orientation if 1 <= (orientation := one(Tag.ORIENTATION, 1)) <= 8 else 1,
        largest=_largest_tile(tags, one, width, height),
        negative=one(Tag.PHOTOMETRIC, 1) == 0,
        bits=one(Tag.BITS, 1),
        samples=_NUMBERS_OF.get(one(Tag.FORMAT, 1), "strange"),
        compression=one(Tag.COMPRESSION, 1),
        photometric=one(Tag.PHOTOMETRIC, 1),
        by_planes=one(Tag.PLANAR, 1) == 2 and one(Tag.SAMPLES, 1) > 1,
    )


def _pages(reader: Reader) -> Iterator[dict[int, Entry]]:
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
        ahead = [*reader.values(tags, Tag.SUB_IFDS), *ahead, following]


def _is_whole(reader: Reader, tags: dict[int, Entry]) -> bool:
    """Neither a reduced copy nor a mask of another page, and with pixels."""
    reduced = (
        reader.values(tags, Tag.SUBFILE)[0] & 0b101 or reader.values(tags, Tag.OLD_SUBFILE)[0] == 2
    )
    return not reduced and reader.values(tags, Tag.WIDTH)[0] > 0


def _is_sensor(reader: Reader, tags: dict[int, Entry]) -> bool:
    """Whether a page belongs to a camera's RAW file: DNG, NEF, ARW…"""
    sensor = reader.values(tags, Tag.PHOTOMETRIC, 1)[0] in _RAW_PHOTOMETRICS
    return sensor or Tag.DNG in tags or Tag.CFA in tags


def _largest_tile(
    tags: dict[int, Entry], one: Callable[[int], int], width: int, height: int
) -> int:
    """The pixels of a tile, where there are tiles."""
    parts = max((tags[tag].count for tag in PARTS if tag in tags), default=0)
    if parts > MOST_PARTS:
        raise excessive("TIFF", MOST_PARTS, "strips or tiles")
    if Tag.TILES not in tags:
        return 0
    across, down = one(Tag.TILE_WIDTH), one(Tag.TILE_HEIGHT)
    if min(across, down) < _LEAST_TILE:
        raise damaged("TIFF", f"its tiles have {across} × {down} pixels")
    if across > max(2 * width, 1024) or down > max(2 * height, 1024):
        raise damaged("TIFF", f"its tiles of {across} × {down} pixels are larger than the photo")
    return -(-width // across) * across * -(-height // down) * down
