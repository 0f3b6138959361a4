"""Header walks: one for each format, linear, with limits, before any library sees the file."""

import struct
from collections.abc import Callable

from memoria.media.headers.bmp import read_bmp
from memoria.media.headers.gif import read_gif
from memoria.media.headers.header import Header, damaged
from memoria.media.headers.heif import HeifHeader, read_heif
from memoria.media.headers.jpeg import JpegHeader, read_jpeg
from memoria.media.headers.png import read_png
from memoria.media.headers.tiff import RawPhoto, TiffHeader, read_tiff
from memoria.media.headers.tiles import TiledHeader
from memoria.media.headers.webp import WebpHeader, read_webp

__all__ = [
    "Header",
    "HeifHeader",
    "JpegHeader",
    "RawPhoto",
    "TiffHeader",
    "TiledHeader",
    "WebpHeader",
    "read_header",
]

_WALKS: dict[str, Callable[[bytes], Header]] = {
    "JPEG": read_jpeg,
    "PNG": read_png,
    "GIF": read_gif,
    "BMP": read_bmp,
    "TIFF": read_tiff,
    "WEBP": read_webp,
    "HEIF": lambda data: read_heif(data, "HEIF"),
    "AVIF": lambda data: read_heif(data, "AVIF"),
}


def read_header(data: bytes, kind: str) -> Header:
    """Walk a file of a kind that ``formats.photo_format`` told.

    Raises UnreadableMedia, UnsupportedMedia, and RawPhoto for a camera's RAW in a TIFF's clothes.
    """
    try:
        return _WALKS[kind](data)
    except (
        IndexError,
        ValueError,
        OverflowError,
        struct.error,
    ) as exc:  # numbers that lead out of the file
        raise damaged(kind, "its header is cut off") from exc
