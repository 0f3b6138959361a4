"""The formats that Pillow decodes (HEIC through pillow-heif), from a file that was walked."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from memoria.errors import MediaTooLarge, MemoriaError, UnreadableMedia

Image.MAX_IMAGE_PIXELS = None  # the limit is ours (decode.open_photo), checked from the header


class UnknownLayout(UnreadableMedia):
    """Pillow makes nothing of a file's head: of a directory of our own, it knows no such pixels."""


@contextmanager
def reading(kind: str) -> Iterator[None]:
    """What the decoders raise comes out as our Terminal errors."""
    try:
        yield
    except MemoriaError:
        raise
    except MemoryError as exc:
        raise MediaTooLarge("the photo needs more memory than there is") from exc
    except UnidentifiedImageError as exc:
        raise UnknownLayout(f"the {kind} is damaged") from exc
    except Exception as exc:  # Pillow's plugins raise a dozen kinds, struct.error among them
        raise UnreadableMedia(f"the {kind} is damaged") from exc


@contextmanager
def opened(data: bytes, kind: str) -> Iterator[Image.Image]:
    """The photo as Pillow sees it, not decoded yet. Raises UnreadableMedia, MediaTooLarge."""
    if kind == "HEIF":
        _register_heif()
    with reading(kind), Image.open(io.BytesIO(data), formats=[kind]) as image:
        yield image


def loaded(data: bytes, kind: str) -> Image.Image:
    """The photo decoded. Raises as ``opened`` does."""
    with opened(data, kind) as image:
        image.load()
        return image


def rgb(image: Image.Image, brightest: float = 255, bits: int = 16) -> NDArray[np.uint8]:
    """(h, w, 3) uint8: deeper samples cut to eight bits; transparent becomes white, as it is shown.

    ``brightest`` is the largest value of the whole photo: floats reach 1 or 255. ``bits`` is how
    deep whole numbers are that Pillow keeps in more than eight.
    """
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image)
        if bits == 32:  # which Pillow keeps as signed
            values = values.view(np.uint32)
        return _grey(values.astype(np.int64) >> bits - 8)
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image))
        return _grey(values * 255 if brightest <= 1 else values)
    if image.mode == "La":  # grey that is multiplied by its opacity
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB"))


def _grey(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.repeat(np.clip(values, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@cache
def _register_heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
