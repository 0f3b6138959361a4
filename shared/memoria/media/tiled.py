"""A grid's pixels, decoded tile by tile as they are asked for."""

from functools import lru_cache

import numpy as np

from memoria.arrays import Image
from memoria.errors import UnreadableMedia
from memoria.media.headers import TiledHeader
from memoria.media.orientation import Box
from memoria.media.pillow import loaded, reading, rgb
from memoria.media.pixels import Banded


class TiledPixels(Banded):
    """As stored.Pixels says; a row of tiles is kept, so that bands of it are decoded once."""

    def __init__(self, header: TiledHeader) -> None:
        super().__init__(*header.size)
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
        with reading(kind):
            image = loaded(self._header.file(number), kind)
            if image.size != self._header.tile_size:
                raise UnreadableMedia(f"the {kind} is damaged: a tile is of another size")
            return rgb(image)
