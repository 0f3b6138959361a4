"""Decoded pixels as they lie in the file, and RGB taken from them piece by piece.

Converting band by band keeps one copy of a large photo in memory instead of three.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from memoria.arrays import Box, Image

if TYPE_CHECKING:
    from PIL import Image as Pillow

_BAND = 1_000_000  # pixels converted at a time


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


class Banded:
    """Pixels that become RGB a region at a time."""

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


class PillowPixels(Banded):
    """What Pillow has loaded, in any of its modes."""

    def __init__(self, image: "Pillow.Image", kind: str, bits: int = 16) -> None:
        super().__init__(*image.size)
        self._image, self._kind, self._bits = image, kind, bits
        extremes: Any = image.getextrema() if image.mode == "F" else (0, 255)
        self._brightest = float(extremes[1])

    def region(self, box: Box) -> Image:
        """As Pixels says. Raises UnreadableMedia for a layout that is no photo's."""
        from memoria.media.pillow import reading, rgb

        with reading(self._kind):
            return rgb(self._image.crop(box), self._brightest, self._bits)


class BgrPixels(Banded):
    """What OpenCV decodes: (h, w), (h, w, 3) BGR or (h, w, 4) BGRA; transparent becomes white.

    Eight or sixteen bits, or floats that reach 1 or 255.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        super().__init__(array.shape[1], array.shape[0])
        self._array = array
        self._scale = 1 / 257 if array.dtype == np.uint16 else 1.0
        if array.dtype.kind == "f":
            self._scale = 255.0 if float(np.nanmax(array, initial=0)) <= 1 else 1.0

    @property
    def share_of_rows(self) -> float:
        """Of those that are not black from end to end, 0..1: libtiff leaves what fails so."""
        return float(self._array.reshape(len(self._array), -1).any(axis=1).mean())

    def region(self, box: Box) -> Image:
        """As Pixels says."""
        part: NDArray[Any] = self._array[box[1] : box[3], box[0] : box[2]]
        if part.dtype != np.uint8:
            part = np.clip(np.nan_to_num(part) * self._scale, 0, 255).astype(np.uint8)
        if part.ndim == 3 and part.shape[2] == 4:
            opaque = part[..., 3:].astype(np.uint16)
            part = (part[..., :3] * opaque + 255 * (255 - opaque) + 127) // 255
        colour = cv2.COLOR_GRAY2RGB if part.ndim == 2 else cv2.COLOR_BGR2RGB
        return np.asarray(cv2.cvtColor(part.astype(np.uint8), colour), np.uint8)


class NegativePixels(Banded):
    """Others, dark for bright."""

    def __init__(self, pixels: Pixels, size: tuple[int, int]) -> None:
        super().__init__(*size)
        self._pixels = pixels

    def region(self, box: Box) -> Image:
        """As Pixels says."""
        return 255 - self._pixels.region(box)


def _resized(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
