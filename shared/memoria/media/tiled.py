"""A grid's pixels, decoded tile by tile as they are asked for."""

from functools import lru_cache

import numpy as np

from memoria.arrays import Box, Image
from memoria.errors import UnreadableMedia
from memoria.media.cut import READABLE_SHARE
from memoria.media.headers import TiledHeader
from memoria.media.pillow import loaded, reading, rgb
from memoria.media.pixels import Banded


class TiledPixels(Banded):
    """As pixels.Pixels says; a row of tiles is kept, so that bands of it are decoded once.

    Tiles that are cut off are black. Raises UnreadableMedia where more than half of them are.
    """

    def __init__(self, header: TiledHeader) -> None:
        super().__init__(*header.size)
        whole = sum(tile.is_whole for tile in header.tiles)
        if whole < READABLE_SHARE * len(header.tiles):
            raise UnreadableMedia(f"the {header.kind} is cut off: less than half of it is there")
        self._header = header
        self._tile = lru_cache(header.columns + 1)(self._decoded)

    def region(self, box: Box) -> Image:
        """As Pixels says. Raises UnreadableMedia, MediaTooLarge."""
        left, top, right, bottom = box
        across, down = self._header.tile_size
        result = np.empty((bottom - top, right - left, 3), np.uint8)
        for row in range(top // down, -(-bottom // down)):
            for column in range(left // across, -(-right // across)):
                x, y = column * across, row * down
                part = self._tile(row * self._header.columns + column)[
                    max(top - y, 0) : bottom - y, max(left - x, 0) : right - x
                ]
                at_y, at_x = max(y - top, 0), max(x - left, 0)
                result[at_y : at_y + len(part), at_x : at_x + part.shape[1]] = part
        return result

    def _decoded(self, number: int) -> Image:
        kind = self._header.kind
        if not self._header.tiles[number].is_whole:
            across, down = self._header.tile_size
            return np.zeros((down, across, 3), np.uint8)
        with reading(kind):
            image = loaded(self._header.file(number), kind)
            if image.size != self._header.tile_size:
                raise UnreadableMedia(f"the {kind} is damaged: a tile is of another size")
            return rgb(image)
