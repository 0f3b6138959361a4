"""What is there of a WebP or HEIC that is cut off.

Decoders want every byte that a file tells of. The header walk puts zeros in the place of those that
are missing; with other bytes there the picture differs from where it ends.
"""

from dataclasses import replace

import numpy as np

from memoria.arrays import Box, Image
from memoria.errors import UnreadableMedia
from memoria.media.headers import Header
from memoria.media.pixels import Banded, Pixels

READABLE_SHARE = 0.5  # of a photo, below which it is not worth its faces
COMPARED_PX = 8  # pixels a side whose means are compared
_OTHER = b"\x40"  # few of these bytes fill a picture, so that decoders do not run out of them


class CutPixels(Banded):
    """Others, black in a box."""

    def __init__(self, pixels: Pixels, size: tuple[int, int], black: Box) -> None:
        super().__init__(*size)
        self._pixels, self._black = pixels, black

    def region(self, box: Box) -> Image:
        """As Pixels says."""
        part = self._pixels.region(box).copy()
        left, top, right, bottom = (max(0, at - box[i % 2]) for i, at in enumerate(self._black))
        part[top:bottom, left:right] = 0
        return part


def with_other_bytes(header: Header) -> Header:
    """The file with other bytes than zeros for those that are missing."""
    data = header.data[: -header.missing] + _OTHER * header.missing
    return replace(header, data=data, missing=0)


def what_is_there(zeros: Pixels, other: Image, header: Header) -> Pixels:
    """What two ways to fill a file have in common, the rest in black; the second one is reduced.

    Raises UnreadableMedia where that is less than half.
    """
    missing = _differing(zeros.frame(COMPARED_PX), other, header.size)
    area = (missing[2] - missing[0]) * (missing[3] - missing[1])
    if area > (1 - READABLE_SHARE) * header.size[0] * header.size[1]:
        raise UnreadableMedia(f"the {header.kind} is cut off: less than half of it is there")
    return CutPixels(zeros, header.size, missing)


def _differing(one: Image, other: Image, size: tuple[int, int]) -> Box:
    """The box that holds all that differs in two reduced frames, in pixels of the whole."""
    differs = (one != other).any(axis=2)
    rows, columns = (np.flatnonzero(differs.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return 0, 0, 0, 0
    first, last = (int(columns[0]), int(rows[0])), (int(columns[-1]) + 1, int(rows[-1]) + 1)
    seen = differs.shape[::-1]
    right, bottom = (  # a reduced frame leaves out what does not fill a whole pixel
        size[i] if last[i] == seen[i] else last[i] * COMPARED_PX for i in (0, 1)
    )
    return first[0] * COMPARED_PX, first[1] * COMPARED_PX, right, bottom
