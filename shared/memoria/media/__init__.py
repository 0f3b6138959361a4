"""Photos: from a URL to bytes (``source``), from bytes to one upright RGB frame (``decode``)."""

from memoria.media.decode import decode_image, open_photo, opened_here
from memoria.media.photo import DEFAULT_MAX_PIXELS, LoadedPhoto, OpenPhoto, Photo

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "LoadedPhoto",
    "OpenPhoto",
    "Photo",
    "decode_image",
    "open_photo",
    "opened_here",
]
