"""JPEG through libjpeg-turbo: whole, at a half, a quarter or an eighth, and what is left of one.

simplejpeg was the fastest of three by measurement (docs/decisions/0201-decoders.md).
"""

from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from memoria.arrays import Image
from memoria.errors import MediaTooLarge, UnreadableMedia
from memoria.media.headers.jpeg import JpegHeader, scan_end

_SCALES = (8, 4, 2)  # the reductions for which libjpeg-turbo has fast inverse transforms
_READABLE_SHARE = 0.5  # of the rows, below which a cut-off photo is not worth its faces
_COARSE = "the JPEG is cut off: only its coarsest scans are there"
_END = b"\xff\xd9"
_FILLERS = b"\0\xff"  # what a card or a disk holds where a copy stopped
_MISSING = "premature end"  # libjpeg's words for a scan that ends too early
_NO_NAME = "subsampling"  # TurboJPEG's, for a sampling that it knows no name for
_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def decode_jpeg(header: JpegHeader, scale: int = 1) -> Image:
    """Grey, colour or CMYK as stored, not turned. -> (h, w, 3) uint8 RGB.

    At 1 / scale of its size: 1, 2, 4 or 8. Raises UnreadableMedia when less than half of the
    photo is there, MediaTooLarge when memory ran out.
    """
    if header.progressive and not header.detailed:
        raise UnreadableMedia(_COARSE)
    try:
        return _rgb(_decoded(header, header.data, scale))
    except ValueError as warning:
        trouble = str(warning)
    except MemoryError as exc:
        raise MediaTooLarge("the photo needs more memory than there is") from exc
    if _NO_NAME in trouble:
        return _by_opencv(header, scale)
    return _salvaged(header, scale)


def reduction(side: int, min_side: int | None) -> int:
    """By how much a side may shrink and still be at least ``min_side``: 8, 4, 2 or 1."""
    if min_side is None:
        return 1
    return next((scale for scale in _SCALES if side // scale >= min_side), 1)


def _decoded(header: JpegHeader, data: bytes, scale: int, *, strict: bool = True) -> Image:
    """Raises ValueError with libjpeg's words; where strict, for its warnings too."""
    width, height = (-(-side // scale) for side in header.size)
    colours = "CMYK" if header.components == 4 else "RGB"
    pixels: Image = simplejpeg.decode_jpeg(
        data, colours, min_width=width, min_height=height, strict=strict
    )
    return pixels


def _rgb(pixels: Image) -> Image:
    """CMYK is stored as a negative, as Adobe does and all others assume."""
    if pixels.shape[2] == 3:
        return pixels
    black = pixels[..., 3:]
    return np.stack([cv2.multiply(pixels[..., i], black, scale=1 / 255) for i in range(3)], axis=2)


def _salvaged(header: JpegHeader, scale: int) -> Image:
    """What can be read of a file that libjpeg warns of, where that is enough."""
    ended = header.data[: header.end] + _END  # harmless where there is one already
    try:
        return _rgb(_decoded(header, ended, scale))  # nothing but its end was missing
    except ValueError as warning:
        trouble = str(warning)
    try:
        pixels = _rgb(_decoded(header, ended, scale, strict=False))
    except ValueError:
        pixels = _by_opencv(header, scale)
    if _MISSING in trouble.lower():
        _refuse_rest(header, scale, pixels)
    return pixels


def _refuse_rest(header: JpegHeader, scale: int, pixels: Image) -> None:
    """Raise UnreadableMedia where what is missing is more than half of the photo."""
    if header.progressive:
        if header.detailed <= 1:  # the last one begun is the one cut off
            raise UnreadableMedia(_COARSE)
        return
    height = len(pixels)
    scanned = header.data[: scan_end(header.data, header.scan)]
    there = scanned.rstrip(_FILLERS)
    if there == scanned and height - _plain_tail(pixels) >= _READABLE_SHARE * height:
        return
    # A plain tail may be the photo's own: what is missing is where other data would show.
    noise = np.random.default_rng(0).integers(0, 255, pixels.size // 4, np.uint8).tobytes()
    try:
        other = _rgb(_decoded(header, there + noise + _END, scale, strict=False))
    except ValueError as exc:
        raise UnreadableMedia("the JPEG is damaged") from exc
    changed = (other != pixels).any(axis=(1, 2))
    if changed.any() and int(np.argmax(changed)) < _READABLE_SHARE * height:
        raise UnreadableMedia("the JPEG is cut off: less than half of it is there")


def _plain_tail(image: Image) -> int:
    """Rows at the end in one single colour: libjpeg repeats the last average to the end."""
    plain = (image == image[-1, -1]).all(axis=(1, 2))
    return len(plain) if plain.all() else int(np.argmin(plain[::-1]))


def _by_opencv(header: JpegHeader, scale: int) -> Image:
    """A second decoder, for samplings that TurboJPEG refuses."""
    flags = _REDUCED[scale] | cv2.IMREAD_IGNORE_ORIENTATION
    ended = np.frombuffer(header.data[: header.end] + _END, np.uint8)
    try:
        pixels: NDArray[Any] | None = cv2.imdecode(ended, flags)
    except cv2.error as exc:
        raise UnreadableMedia("the JPEG is damaged") from exc
    if pixels is None:
        raise UnreadableMedia("the JPEG is damaged")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
