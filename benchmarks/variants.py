"""The same photo as other devices and messengers would send it."""

import io
from collections.abc import Iterator

import cv2
import numpy as np
import pillow_heif
from PIL import Image as Pillow

from memoria.arrays import Image
from tests.exif import STORED

TURNS = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)

pillow_heif.register_heif_opener()


def variants(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and bytes: eight orientations, two scales, HEIC, WebP, CMYK, grey."""
    image = Pillow.open(io.BytesIO(data)).convert("RGB")
    for orientation, turn in STORED.items():
        tags = Pillow.Exif()
        tags[0x0112] = orientation
        yield (
            f"orientation {orientation}",
            _saved(image.transpose(turn), "PNG", exif=tags.tobytes()),
        )
    for scale in (0.25, 2):
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        yield f"× {scale}", _saved(image.resize(size, Pillow.Resampling.LANCZOS), "PNG")
    yield "HEIC", _saved(image, "HEIF", quality=90)
    yield "WebP", _saved(image, "WEBP", quality=90)
    yield "CMYK", _saved(image.convert("CMYK"), "JPEG", quality=95)
    yield "grey", _saved(image.convert("L"), "JPEG", quality=95)


def turned(image: Image, turn: int) -> Image:
    """A quarter or half turn."""
    return np.asarray(cv2.rotate(image, turn), np.uint8)


def _saved(image: Pillow.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    if kind == "PNG":
        options["compress_level"] = 1
    image.save(buffer, kind, **options)
    return buffer.getvalue()
