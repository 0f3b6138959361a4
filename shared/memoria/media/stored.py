"""Decoded pixels as they lie in the file, and RGB taken from them piece by piece.

Converting band by band keeps one copy of a large photo in memory instead of three.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from memoria.arrays import Image
from memoria.errors import UnreadableMedia
from memoria.media.orientation import Box

if TYPE_CHECKING:
    from PIL import Image as Pillow


_BAND = 1_000_000  # pixels converted at a time

# Bytes of memory for a pixel while a format's decoder runs, at most over its layouts; measured,
# and held to by tests/unit/media/test_memory.py. JPEG's are told by its header.
DECODING_BYTES = {"PNG": 4, "BMP": 4, "GIF": 4, "WEBP": 8.5, "TIFF": 12, "HEIF": 8.5, "AVIF": 12}
DECODED_BYTES = 4  # and of what it leaves


class Pixels(Protocol):
    """A photo as stored; boxes and sizes are those of the whole photo, also when it is reduced."""

    @property
    def reduction(self) -> int:
        """How many pixels of the photo one of these stands for, per side."""
        ...

    def region(self, box: Box) -> Image:
        """(h, w, 3) uint8 RGB of a box."""
        ...

    def frame(self, scale: int) -> Image:
        """(h, w, 3) uint8 RGB, everything at 1 / scale of these pixels: a mean, not a sample."""
        ...


@dataclass(frozen=True, slots=True)
class ArrayPixels:
    """An RGB array, at full size or reduced."""

    array: Image
    reduction: int = 1

    def region(self, box: Box) -> Image:
        """As Pixels says; enlarged again where the array is reduced."""
        left, top, right, bottom = (side // self.reduction for side in box)
        part = self.array[top : max(bottom, top + 1), left : max(right, left + 1)]
        if self.reduction == 1:
            return part
        return _resized(part, box[2] - box[0], box[3] - box[1])

    def frame(self, scale: int) -> Image:
        """As Pixels says; the array itself when the scale is 1."""
        height, width = (side // scale for side in self.array.shape[:2])
        part = self.array[: height * scale, : width * scale]
        return self.array if scale == 1 else _resized(part, width, height)


class _Banded:
    """Pixels in another layout than RGB."""

    reduction = 1

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height

    def region(self, box: Box) -> Image:
        raise NotImplementedError

    def frame(self, scale: int) -> Image:
        """As Pixels says."""
        width, height = self._width // scale, self._height // scale
        result = np.empty((height, width, 3), np.uint8)
        rows = max(1, _BAND // (self._width * scale))
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            band = self.region((0, top * scale, width * scale, bottom * scale))
            result[top:bottom] = band if scale == 1 else _resized(band, width, bottom - top)
        return result


class PillowPixels(_Banded):
    """What Pillow has loaded, in any of its modes."""

    def __init__(self, image: "Pillow.Image", kind: str) -> None:
        super().__init__(*image.size)
        self._image, self._kind = image, kind
        extremes: Any = image.getextrema() if image.mode == "F" else (0, 255)
        self._brightest = float(extremes[1])

    def region(self, box: Box) -> Image:
        """As Pixels says. Raises UnreadableMedia for a layout that is no photo's."""
        from memoria.media.pillow import reading, rgb

        with reading(self._kind):
            return rgb(self._image.crop(box), self._brightest)


class BgrPixels(_Banded):
    """What OpenCV decodes: (h, w), (h, w, 3) BGR or (h, w, 4) BGRA; transparent becomes white."""

    def __init__(self, array: Image) -> None:
        super().__init__(array.shape[1], array.shape[0])
        self._array = array

    def region(self, box: Box) -> Image:
        """As Pixels says."""
        part: NDArray[Any] = self._array[box[1] : box[3], box[0] : box[2]]
        if part.ndim == 3 and part.shape[2] == 4:
            opaque = part[..., 3:].astype(np.uint16)
            part = (part[..., :3] * opaque + 255 * (255 - opaque) + 127) // 255
        colour = cv2.COLOR_GRAY2RGB if part.ndim == 2 else cv2.COLOR_BGR2RGB
        return np.asarray(cv2.cvtColor(part.astype(np.uint8), colour), np.uint8)


def stored_pixels(data: bytes, kind: str, scale: int = 1) -> Pixels:
    """Decode any photo; JPEGs (CMYK) at a half, a quarter or an eighth where a scale says so.

    Raises UnreadableMedia, MediaTooLarge.
    """
    if kind == "WEBP":  # Pillow's animation decoder takes 22 bytes for a pixel
        return _webp(data)
    from memoria.media.pillow import loaded

    image = loaded(data, kind, scale)
    if kind != "JPEG":
        return PillowPixels(image, kind)
    return ArrayPixels(PillowPixels(image, kind).frame(1), scale)


def _webp(data: bytes) -> Pixels:
    try:
        array: NDArray[Any] | None = cv2.imdecode(
            np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED
        )
    except cv2.error as exc:
        raise UnreadableMedia("the WEBP is damaged") from exc
    if array is None:
        raise UnreadableMedia("the WEBP is damaged")
    return BgrPixels(array)


def _resized(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
