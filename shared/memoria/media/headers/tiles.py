"""The tiles of a HEIF's or AVIF's grid, each told again as a file of its own.

A phone's photo of 200 megapixels is a grid of 800 pictures. Decoded one by one they take the memory
of a row of tiles, not of the whole.
"""

import struct
from dataclasses import dataclass, field

from memoria.media.headers.boxes import Boxes
from memoria.media.headers.header import Header
from memoria.media.headers.meta import Meta, item_bytes, item_parts

_BRANDS = {"HEIF": b"heic", "AVIF": b"avif"}
_KINDS = frozenset({b"hvc1", b"av01"})
_NEEDED = frozenset(
    {b"hvcC", b"av1C", b"ispe", b"colr", b"pixi"}
)  # to decode; turns are the grid's
_FIRST = b"\0\1"  # a tile's number in its own file


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of a grid."""

    properties: tuple[bytes, ...]  # boxes
    parts: tuple[memoryview, ...]  # of its coded bytes
    is_whole: bool = True  # whether the file has all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class TiledHeader(Header):
    """A grid that is decoded tile by tile; ``orientation`` is what its own boxes say."""

    tile_kind: bytes  # hvc1 or av01
    tile_size: tuple[int, int]  # width, height, pixels
    tile_pixels: int  # of the largest picture that any codec's header in the file names
    columns: int
    tiles: tuple[Tile, ...] = field(repr=False)  # row by row

    def file(self, number: int) -> bytes:
        """One tile as a photo, not turned."""
        tile = self.tiles[number]
        brand, length = _BRANDS[self.kind], sum(map(len, tile.parts))
        head = box(b"ftyp", brand, bytes(4), brand, b"mif1")
        at = len(head) + len(self._meta(tile, 0, length)) + 8
        return b"".join((head, self._meta(tile, at, length), box(b"mdat", *tile.parts)))

    def _meta(self, tile: Tile, at: int, length: int) -> bytes:
        count = len(tile.properties)
        numbers = bytes((count, *range(1, count + 1)))
        item = box(b"infe", b"\2\0\0\0", _FIRST, bytes(2), self.tile_kind, b"\0")
        place = _FIRST + struct.pack(">HHII", 0, 1, at, length)
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), _FIRST),
            box(b"iloc", bytes(4), b"\x44\0\0\1", place),
            box(b"iinf", bytes(4), b"\0\1", item),
            box(
                b"iprp",
                box(b"ipco", *tile.properties),
                box(b"ipma", bytes(4), b"\0\0\0\1", _FIRST, numbers),
            ),
        )


def box(kind: bytes, *parts: bytes | memoryview) -> bytes:
    """An ISO base media box."""
    length = 8 + sum(map(len, parts))
    return b"".join((struct.pack(">I", length), kind, *parts))


def grid_size(body: bytes) -> tuple[int, int]:
    """Width and height that a ``grid`` item tells, pixels; 0 where it is cut off."""
    wide = 4 if body[1:2] and body[1] & 1 else 2
    width, height = body[4 : 4 + wide], body[4 + wide : 4 + 2 * wide]
    return int.from_bytes(width, "big"), int.from_bytes(height, "big")


def read_tiles(boxes: Boxes, meta: Meta, orientation: int, tile_pixels: int) -> TiledHeader | None:
    """The primary picture by its tiles; None where it is no grid, or an irregular one."""
    if meta.kinds.get(meta.primary) != b"grid":
        return None
    body, numbers = item_bytes(boxes, meta, meta.primary), meta.derived.get(meta.primary, [])
    kinds = {meta.kinds.get(number) for number in numbers}
    sizes = {_told_size(boxes, meta, number) for number in numbers}
    if len(body) < 8 or len(sizes) != 1 or len(kinds) != 1 or not kinds <= _KINDS:
        return None
    (width, height), (across, down) = grid_size(body), next(iter(sizes))
    rows, columns = body[2] + 1, body[3] + 1
    is_told = _told_size(boxes, meta, meta.primary) == (width, height)
    fills = _fills(columns, across, width) and _fills(rows, down, height)
    if len(numbers) != rows * columns or not is_told or not fills:
        return None
    properties = [box(kind, boxes.data[start:end]) for kind, start, end in meta.properties]
    tiles = {number: _tile(boxes, meta, properties, number) for number in set(numbers)}
    return TiledHeader(
        kind=boxes.kind,
        data=b"",
        size=(width, height),
        orientation=orientation,
        tile_kind=meta.kinds[numbers[0]],
        tile_size=(across, down),
        tile_pixels=max(tile_pixels, across * down),
        columns=columns,
        tiles=tuple(tiles[number] for number in numbers),
    )


def _fills(count: int, side: int, length: int) -> bool:
    """Whether so many tiles cover a length, and none lies beyond it."""
    return (count - 1) * side < length <= count * side


def _told_size(boxes: Boxes, meta: Meta, item: int) -> tuple[int, int]:
    owned = (meta.properties[number - 1] for number in meta.owned.get(item, ()))
    start = next((start for kind, start, _ in owned if kind == b"ispe"), len(boxes.data))
    return boxes.number(start + 4, 4), boxes.number(start + 8, 4)


def _tile(boxes: Boxes, meta: Meta, properties: list[bytes], item: int) -> Tile:
    owned = [number - 1 for number in meta.owned.get(item, ())]
    needed = [properties[i] for i in owned if meta.properties[i][0] in _NEEDED]
    parts = tuple(item_parts(boxes, meta, item))
    told = sum(length for _, _, length in meta.places.get(item, ()))
    return Tile(tuple(needed[:255]), parts, sum(map(len, parts)) >= told)
