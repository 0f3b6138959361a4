"""EXIF's eight orientations, as turns of an array and as the way back for a box."""

import cv2
import numpy as np
from numpy.typing import NDArray

from memoria.arrays import Box, Image

_TURNS: dict[int, tuple[int | None, int | None]] = {  # orientation -> quarter turn, then flip
    2: (None, 1),
    3: (cv2.ROTATE_180, None),
    4: (None, 0),
    5: (cv2.ROTATE_90_CLOCKWISE, 1),
    6: (cv2.ROTATE_90_CLOCKWISE, None),
    7: (cv2.ROTATE_90_CLOCKWISE, 0),
    8: (cv2.ROTATE_90_COUNTERCLOCKWISE, None),
}
_FAR_X, _FAR_Y = (
    (2, 3, 6, 7),
    (3, 4, 7, 8),
)  # orientations that put the stored photo's last columns (rows) first


def upright(stored: Image, orientation: int) -> Image:
    """(h, w, 3) as stored -> (h, w, 3) or (w, h, 3), contiguous."""
    turn, flip = _TURNS.get(orientation, (None, None))
    turned: NDArray[np.integer | np.floating] = stored
    if turn is not None:
        turned = cv2.rotate(turned, turn)
    if flip is not None:
        turned = cv2.flip(turned, flip)
    return np.ascontiguousarray(turned, np.uint8)


def stored_box(box: Box, orientation: int, width: int, height: int) -> Box:
    """Where a box of the upright photo lies in the stored one, ``width`` × ``height`` pixels."""
    corners = (_stored(x, y, orientation, width, height) for x, y in (box[:2], box[2:]))
    (x, y), (x2, y2) = corners
    return min(x, x2), min(y, y2), max(x, x2), max(y, y2)


def upright_corner(rest: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Where a reduced frame begins in the upright photo: x, y, pixels.

    A reduction drops the last columns and rows of the stored photo that do not fill a whole pixel.
    Turned upright, they may lie at the left or at the top; then the frame begins behind them.
    ``rest``: how many columns and rows are missing, counted in the upright photo.
    """
    return rest[0] * (orientation in _FAR_X), rest[1] * (orientation in _FAR_Y)


def _stored(x: int, y: int, orientation: int, width: int, height: int) -> tuple[int, int]:
    if orientation >= 5:
        x, y = y, x
    if orientation in (2, 3, 7, 8):
        x = width - x
    if orientation in (3, 4, 6, 7):
        y = height - y
    return x, y
