"""Decoding a photo of any format but JPEG, and the memory that it takes."""

import math
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from memoria.errors import MediaTooLarge, UnreadableMedia, UnsupportedMedia
from memoria.media.cut import COMPARED_PX, READABLE_SHARE, what_is_there, with_other_bytes
from memoria.media.headers import Header, TiffHeader, TiledHeader, WebpHeader
from memoria.media.pixels import ArrayPixels, BgrPixels, NegativePixels, PillowPixels, Pixels
from memoria.media.png import completed

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


def stored_pixels(header: Header) -> Pixels:
    """Decode a photo of any format but JPEG.

    Raises UnreadableMedia, UnsupportedMedia, MediaTooLarge.
    """
    if header.missing:
        return _cut_off(header)
    if isinstance(header, WebpHeader):  # Pillow's animation decoder takes 22 bytes for a pixel
        return _on_canvas(_by_opencv(header), header)
    if isinstance(header, TiledHeader):
        from memoria.media.tiled import TiledPixels

        return TiledPixels(header)
    if isinstance(header, TiffHeader) and header.is_strange:
        raise UnsupportedMedia(header.is_not_read)
    if isinstance(header, TiffHeader) and header.by_planes and header.bits > 8:
        return _deep_planes(header)
    pixels = _by_some_decoder(header)
    if isinstance(header, TiffHeader) and header.negative:
        return NegativePixels(pixels, header.size)
    return pixels


def _cut_off(header: Header) -> Pixels:
    """What is there of a file whose walk put zeros for what is missing."""
    if min(header.size) < COMPARED_PX:  # too narrow to be compared
        raise UnreadableMedia(f"the {header.kind} is cut off")
    try:
        other = stored_pixels(with_other_bytes(header)).frame(COMPARED_PX)
        zeros = stored_pixels(replace(header, missing=0))
    except UnreadableMedia as exc:
        raise UnreadableMedia(f"the {header.kind} is cut off") from exc
    return what_is_there(zeros, other, header)


def _deep_planes(header: TiffHeader) -> Pixels:
    """By libtiff itself: Pillow, and OpenCV where it keeps depths, make noise of them."""
    try:
        pixels = _by_opencv(header, cv2.IMREAD_COLOR)
    except UnreadableMedia:
        raise UnsupportedMedia(header.is_not_read) from None
    return _enough(pixels, header)


def _by_some_decoder(header: Header) -> Pixels:
    """What one decoder calls damaged another one may read.

    Raises UnsupportedMedia for a TIFF coded, numbered or laid out in a way that neither knows.
    """
    from memoria.media.pillow import UnknownLayout

    try:
        return _by_pillow(header)
    except UnreadableMedia as error:
        is_unknown = isinstance(error, UnknownLayout)
        if header.kind not in _SECOND_DECODER:
            raise
        if isinstance(header, TiffHeader) and not header.is_coded_plainly:
            raise UnsupportedMedia(header.is_not_read) from None  # OpenCV would make it black
    try:
        return _enough(_by_opencv(header), header)
    except UnreadableMedia:
        if isinstance(header, TiffHeader) and (is_unknown or not header.is_plain):
            raise UnsupportedMedia(header.is_not_read) from None
        if header.kind != "PNG":
            raise
    return _by_pillow(replace(header, data=completed(header)))


def _enough(pixels: BgrPixels, header: Header) -> Pixels:
    if pixels.share_of_rows < READABLE_SHARE:
        raise UnreadableMedia(f"the {header.kind} is damaged: less than half of it is there")
    return pixels


_SECOND_DECODER = frozenset({"PNG", "BMP", "TIFF"})


def _by_pillow(header: Header) -> Pixels:
    from memoria.media.pillow import loaded

    bits = header.bits if isinstance(header, TiffHeader) and header.bits > 8 else 16
    image = loaded(header.data, header.kind)
    extremes: Any = image.getextrema() if header.kind == "BMP" and image.mode == "RGBA" else ()
    if extremes and extremes[3] == (0, 0):
        image.putalpha(255)  # programs that know no opacity leave it empty; browsers think so too
    return PillowPixels(image, header.kind, bits)


def _by_opencv(header: Header, how: int = cv2.IMREAD_UNCHANGED) -> BgrPixels:
    damaged = f"the {header.kind} is damaged"
    try:
        array: NDArray[Any] | None = cv2.imdecode(np.frombuffer(header.data, np.uint8), how)
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
