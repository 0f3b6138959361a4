"""Photos: from a URL to bytes (``source``), from bytes to one upright RGB frame (``decode``)."""

from memoria.media.decode import DEFAULT_MAX_PIXELS, LoadedPhoto, Photo, decode_image, open_photo

__all__ = ["DEFAULT_MAX_PIXELS", "LoadedPhoto", "Photo", "decode_image", "open_photo"]
