"""Every format but plain JPEG, and every header, through Pillow (HEIC through pillow-heif)."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from memoria.errors import MediaTooLarge, MemoriaError, UnreadableMedia, UnsupportedMedia

_ORIENTATION, _DNG_VERSION, _SUBFILE_TYPE, _SUB_IFDS = 0x0112, 50706, 254, 330
_TURNED_WHEN_LOADED = {"TIFF", "HEIF"}  # by Pillow, by libheif

Image.MAX_IMAGE_PIXELS = None  # the limit is ours (decode.open_photo), checked from the header


@contextmanager
def reading(kind: str) -> Iterator[None]:
    """What the decoders raise comes out as our Terminal errors."""
    try:
        yield
    except MemoriaError:
        raise
    except MemoryError as exc:
        raise MediaTooLarge("the photo needs more memory than there is") from exc
    except Exception as exc:  # Pillow's plugins raise a dozen kinds, struct.error among them
        raise UnreadableMedia(f"the {kind} is damaged") from exc


@contextmanager
def opened(data: bytes, kind: str) -> Iterator[Image.Image]:
    """The photo with its header read. Raises UnreadableMedia, MediaTooLarge."""
    if kind == "HEIF":
        _register_heif()
    with reading(kind), Image.open(io.BytesIO(data), formats=_plugins(kind)) as image:
        yield image


def loaded(data: bytes, kind: str, scale: int = 1) -> Image.Image:
    """The photo decoded, a JPEG at 1 / scale of its size. Raises as ``opened`` does."""
    with opened(data, kind) as image:
        if scale > 1:
            image.draft(image.mode, (image.width // scale, image.height // scale))
        image.load()
        return image


def orientation(image: Image.Image, data: bytes, kind: str) -> int:
    """The EXIF orientation, 1 to 8, that is still to be applied after loading; decodes nothing."""
    if kind in _TURNED_WHEN_LOADED:
        return 1
    if kind == "PNG" and (found := _exif_chunk(data)):
        image.info["exif"] = b"Exif\0\0" + found
    try:  # the base's method: PNG's own decodes the whole photo to see what comes after the pixels
        value = Image.Image.getexif(image).get(_ORIENTATION, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _exif_chunk(data: bytes) -> bytes:
    """A PNG's eXIf, wherever it lies, or nothing."""
    at = 8
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"eXIf":
            return data[at + 8 : at + 8 + length]
        at += 12 + length
    return b""


def refuse_raw(image: Image.Image) -> None:
    """Raise UnsupportedMedia for DNG, NEF, ARW…: TIFFs whose first page is but a thumbnail."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    tags = image.tag_v2
    if _DNG_VERSION in tags or (tags.get(_SUBFILE_TYPE) == 1 and _SUB_IFDS in tags):
        raise UnsupportedMedia("the file is a camera's RAW file, not a photo")


def rgb(image: Image.Image, brightest: float = 255) -> NDArray[np.uint8]:
    """(h, w, 3) uint8: sixteen bits cut to eight; transparent becomes white, as it is shown.

    ``brightest`` is the largest value of the whole photo: floats reach 1 or 255.
    """
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _grey(np.asarray(image).astype(np.int64) >> 8)
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image))
        return _grey(values * 255 if brightest <= 1 else values)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB"))


def _grey(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.repeat(np.clip(values, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _plugins(kind: str) -> list[str]:
    return ["JPEG", "MPO"] if kind == "JPEG" else [kind]


@cache
def _register_heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
