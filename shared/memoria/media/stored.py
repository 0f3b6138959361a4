"""Decoded pixels as they lie in the file, and RGB taken from them piece by piece.

Converting band by band keeps one copy of a large photo in memory instead of three.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from memoria.arrays import Image
from memoria.errors import MediaTooLarge, UnreadableMedia, UnsupportedMedia
from memoria.media.headers import Header, TiffHeader, TiledHeader, WebpHeader
from memoria.media.orientation import Box
from memoria.media.png import READABLE_SHARE, completed

if TYPE_CHECKING:
    from PIL import Image as Pillow


_BAND = 1_000_000  # pixels converted at a time

# Bytes of memory for a pixel while a format's decoder runs, at most over its layouts; measured,
# and held to by tests/unit/media/test_memory.py. JPEG's are told by its header.
DECODING_BYTES = {"PNG": 4, "BMP": 4, "GIF": 4, "WEBP": 8.5, "TIFF": 12, "HEIF": 8.5, "AVIF": 12}
DECODED_BYTES = 4  # and of what it leaves


LOSSLESS_WEBP_BYTES = 11.5  # it is decoded to a copy of its own first


def decoded_bytes(header: Header) -> float:
    """Bytes at most of what decoding leaves, of any format but JPEG."""
    if isinstance(header, TiledHeader):
        return 3.0 * (header.columns + 1) * math.prod(header.tile_size)
    return float(DECODED_BYTES * header.pixels)


def decoding_bytes(header: Header) -> float:
    """Bytes at most to decode a photo of any format but JPEG."""
    if isinstance(header, TiledHeader):
        return DECODING_BYTES[header.kind] * header.tile_pixels + decoded_bytes(header)
    lossless = isinstance(header, WebpHeader) and header.is_lossless
    pixel = LOSSLESS_WEBP_BYTES if lossless else DECODING_BYTES[header.kind]
    return pixel * header.pixels


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


def stored_pixels(header: Header) -> Pixels:
    """Decode a photo of any format but JPEG.

    Raises UnreadableMedia, UnsupportedMedia, MediaTooLarge.
    """
    if isinstance(header, WebpHeader):  # Pillow's animation decoder takes 22 bytes for a pixel
        return _on_canvas(_by_opencv(header), header)
    if isinstance(header, TiledHeader):
        from memoria.media.tiled import TiledPixels

        return TiledPixels(header)
    if isinstance(header, TiffHeader) and header.is_strange:
        raise UnsupportedMedia(header.is_not_read)
    pixels = _by_some_decoder(header)
    if isinstance(header, TiffHeader) and header.negative:
        return NegativePixels(pixels, header.size)
    return pixels


def _by_some_decoder(header: Header) -> Pixels:
    """What one decoder calls damaged another one may read.

    Raises UnsupportedMedia for a TIFF coded or numbered in a way that neither knows.
    """
    try:
        return _by_pillow(header)
    except UnreadableMedia:
        if header.kind not in _SECOND_DECODER:
            raise
        if isinstance(header, TiffHeader) and not header.is_coded_plainly:
            raise UnsupportedMedia(header.is_not_read) from None  # OpenCV would make it black
    try:
        pixels = _by_opencv(header)
        if pixels.share_of_rows >= READABLE_SHARE:
            return pixels
        raise UnreadableMedia(f"the {header.kind} is damaged: less than half of it is there")
    except UnreadableMedia:
        if isinstance(header, TiffHeader) and not header.is_plain:
            raise UnsupportedMedia(header.is_not_read) from None
        if header.kind != "PNG":
            raise
    return _by_pillow(replace(header, data=completed(header)))


_SECOND_DECODER = frozenset({"PNG", "BMP", "TIFF"})


def _by_pillow(header: Header) -> Pixels:
    from memoria.media.pillow import loaded

    bits = header.bits if isinstance(header, TiffHeader) and header.bits > 8 else 16
    return PillowPixels(loaded(header.data, header.kind), header.kind, bits)


def _by_opencv(header: Header) -> BgrPixels:
    damaged = f"the {header.kind} is damaged"
    try:
        array: NDArray[Any] | None = cv2.imdecode(
            np.frombuffer(header.data, np.uint8), cv2.IMREAD_UNCHANGED
        )
    except cv2.error as exc:
        if exc.code == cv2.Error.StsNoMem:
            raise MediaTooLarge("the photo needs more memory than there is") from exc
        raise UnreadableMedia(damaged) from exc
    if array is None:
        raise UnreadableMedia(damaged)
    return BgrPixels(array)


def _on_canvas(pixels: Pixels, header: WebpHeader) -> Pixels:
    """The first frame of an animation where it lies; what it leaves of the canvas is white."""
    (width, height), (left, top) = header.frame_size, header.corner
    if header.frame_size == header.size:
        return pixels
    canvas = np.full((header.size[1], header.size[0], 3), 255, np.uint8)
    canvas[top : top + height, left : left + width] = pixels.region((0, 0, width, height))
    return ArrayPixels(canvas)


def _resized(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
