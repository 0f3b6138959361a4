"""JPEG through libjpeg-turbo: whole, at a half, a quarter or an eighth, and what is left of one.

simplejpeg was the fastest of three by measurement (docs/decisions/0201-decoders.md).
"""

import numpy as np
import simplejpeg

from memoria.arrays import Image
from memoria.errors import MediaTooLarge, UnreadableMedia

_SCALES = (8, 4, 2)  # the reductions for which libjpeg-turbo has fast inverse transforms
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame, of any process
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_READABLE_SHARE = 0.5  # of the rows, below which a cut-off photo is not worth its faces
_READABLE_SCANS = 2  # of a progressive file: the averages, and the first details


def decode_jpeg(data: bytes, width: int, height: int, scale: int = 1) -> Image:
    """Grey or colour JPEG as stored, not turned. -> (h, w, 3) uint8 RGB.

    At 1 / scale of its size: 1, 2, 4 or 8. Raises UnreadableMedia when less than half of the
    photo is there.
    """
    smallest = {"min_width": -(-width // scale), "min_height": -(-height // scale)}
    try:
        return simplejpeg.decode_jpeg(data, "RGB", **smallest)  # type: ignore[no-any-return]
    except ValueError:
        return _salvage(data, smallest)
    except MemoryError as exc:
        raise MediaTooLarge("the photo needs more memory than there is") from exc


def reduction(side: int, min_side: int | None) -> int:
    """By how much a side may shrink and still be at least ``min_side``: 8, 4, 2 or 1."""
    if min_side is None:
        return 1
    return next((scale for scale in _SCALES if side // scale >= min_side), 1)


def coefficient_bytes(data: bytes) -> float:
    """What libjpeg keeps of every pixel until the last scan: 0 when the first scan has it all."""
    at, kept, components = 2, 0.0, 0
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if marker == 0xFF:  # fill bytes
            at += 1
            continue
        if marker in _FRAMES and len(body) > 5:
            progressive, components = marker in _PROGRESSIVE, body[5]
            samples = [(v >> 4) * (v & 15) for v in body[7 : 7 + 3 * components : 3]]
            kept = 2.0 * sum(samples) / max(samples, default=1)
            if progressive:
                return kept
        if marker == 0xDA:
            return kept if body[:1] != bytes([components]) else 0.0
        at += 2 + length
    return kept


def _salvage(data: bytes, smallest: dict[str, int]) -> Image:
    try:
        image: Image = simplejpeg.decode_jpeg(data, "RGB", strict=False, **smallest)
    except ValueError as exc:
        raise UnreadableMedia("the JPEG is damaged") from exc
    if len(image) - _blank_tail(image) < _READABLE_SHARE * len(image):
        raise UnreadableMedia("the JPEG is cut off: less than half of it is there")
    if _is_progressive(data) and data.count(b"\xff\xda") < _READABLE_SCANS + 1:
        raise UnreadableMedia("the JPEG is cut off: only its coarsest scan is there")
    return image


def _blank_tail(image: Image) -> int:
    """Rows at the end in one single colour: libjpeg repeats the last average to the end."""
    blank = (image == image[-1, -1]).all(axis=(1, 2))
    return len(blank) if blank.all() else int(np.argmin(blank[::-1]))


def _is_progressive(data: bytes) -> bool:
    return b"\xff\xc2" in data[: data.find(b"\xff\xda")]
