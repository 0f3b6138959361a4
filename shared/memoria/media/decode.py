"""Bytes -> one upright RGB frame, with its limits checked before anything is decoded.

Colour profiles are left alone: detectors and recognisers were trained on pixels as stored.
"""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from memoria.errors import MediaTooLarge, UnreadableMedia
from memoria.media.formats import photo_format
from memoria.media.jpeg import decode_jpeg
from memoria.media.pillow import opened, orientation, refuse_raw, rgb

Image = NDArray[np.uint8]

DEFAULT_MAX_PIXELS = 120_000_000  # phones reach 108 megapixels; twice the width of a page of film
_MAX_SIDE = 65_500  # what JPEG can say

_TURNS: dict[int, tuple[int | None, int | None]] = {  # orientation -> quarter turn, then flip
    2: (None, 1),
    3: (cv2.ROTATE_180, None),
    4: (None, 0),
    5: (cv2.ROTATE_90_CLOCKWISE, 1),
    6: (cv2.ROTATE_90_CLOCKWISE, None),
    7: (cv2.ROTATE_90_CLOCKWISE, 0),
    8: (cv2.ROTATE_90_COUNTERCLOCKWISE, None),
}


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo whose header was read and is within limits; ``frame`` decodes it, again and again."""

    data: bytes = field(repr=False)
    format: str
    mode: str  # Pillow's name of the stored pixels' layout
    stored_size: tuple[int, int]  # width, height before turning, pixels
    orientation: int  # what is left to apply after decoding: EXIF's 1 to 8

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright photo, pixels."""
        width, height = self.stored_size
        return (height, width) if self.orientation >= 5 else (width, height)

    def frame(self, min_side: int | None = None) -> Image:
        """(h, w, 3) uint8 RGB, upright, contiguous.

        ``min_side`` allows a reduced frame whose shorter side is at least so long (JPEG only:
        a half, a quarter or an eighth). Raises UnreadableMedia, MediaTooLarge.
        """
        if self.format == "JPEG" and self.mode in {"L", "RGB"}:
            image = decode_jpeg(self.data, *self.stored_size, min_side)
        else:
            with opened(self.data, self.format) as stored:
                stored.load()
                image = rgb(stored)
        return _upright(image, self.orientation)


def decode_image(
    data: bytes, *, min_side: int | None = None, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Image:
    """One upright RGB frame of a photo. -> (h, w, 3) uint8, 0..255.

    JPEG, PNG, WebP, HEIC/HEIF, AVIF, TIFF, BMP and GIF (the first frame). ``min_side`` allows a
    reduced frame, see Photo.frame. Raises UnsupportedMedia (no photo), UnreadableMedia (damaged),
    MediaTooLarge (more than ``max_pixels``).
    """
    return open_photo(data, max_pixels=max_pixels).frame(min_side)


def open_photo(data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Photo:
    """Read a photo's header, decode nothing. Raises as decode_image does."""
    kind = photo_format(data)
    with opened(data, kind) as image:
        refuse_raw(image)
        width, height = image.size
        photo = Photo(data, kind, image.mode, (width, height), orientation(image, kind))
    if width < 1 or height < 1:
        raise UnreadableMedia("the photo has no pixels")
    if width * height > max_pixels or max(width, height) > _MAX_SIDE:
        raise MediaTooLarge(
            f"the photo has {width} × {height} pixels, the limit is {max_pixels // 10**6} million"
        )
    return photo


def _upright(image: Image, stored: int) -> Image:
    turn, flip = _TURNS.get(stored, (None, None))
    turned: Any = image
    if turn is not None:
        turned = cv2.rotate(turned, turn)
    if flip is not None:
        turned = cv2.flip(turned, flip)
    return np.ascontiguousarray(turned)
