"""Bytes -> upright RGB, with its limits checked before anything is decoded.

Colour profiles are left alone: detectors and recognisers were trained on pixels as stored.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from memoria.arrays import Image
from memoria.errors import MediaTooLarge, UnreadableMedia
from memoria.media.budget import BUDGET
from memoria.media.formats import photo_format
from memoria.media.jpeg import coefficient_bytes, decode_jpeg, reduction
from memoria.media.orientation import Box, stored_box, upright, upright_corner
from memoria.media.stored import DECODED_BYTES, DECODING_BYTES, ArrayPixels, Pixels, stored_pixels

DEFAULT_MAX_PIXELS = 120_000_000  # phones reach 108 megapixels; twice the width of a page of film
_MAX_SIDE = 65_500  # what JPEG can say
_KEPT_WHOLE = 8_000_000  # pixels of a JPEG up to which it is decoded once: four requests hold four


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo whose header was read and is within limits; each decode is a new one."""

    data: bytes = field(repr=False)
    format: str
    mode: str  # Pillow's name of the stored pixels' layout
    stored_size: tuple[int, int]  # width, height before turning, pixels
    orientation: int  # what is left to apply after decoding: EXIF's 1 to 8

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright photo, pixels."""
        width, height = self.stored_size
        return (height, width) if self.orientation >= 5 else (width, height)

    def frame(self, min_side: int | None = None) -> Image:
        """(h, w, 3) uint8 RGB, upright, contiguous.

        ``min_side`` allows a frame reduced to a half, a quarter or an eighth whose shorter side
        is at least so long. Raises UnreadableMedia, MediaTooLarge.
        """
        scale = reduction(min(self.stored_size), min_side)
        with BUDGET.hold(self.bytes_needed(scale if self.format == "JPEG" else 1, scale)):
            pixels = self._stored(scale)
            stored = pixels.frame(scale // pixels.reduction)
            del pixels  # before a turned copy is made
            return upright(stored, self.orientation)

    @contextmanager
    def loaded(self, min_side: int) -> Iterator["LoadedPhoto"]:
        """The photo for as long as the block lasts: a reduced frame, and regions at full size.

        Decoded once, but large JPEGs, whose regions cost a second decode. Raises as ``frame``.
        """
        scale = reduction(min(self.stored_size), min_side)
        if self.format == "JPEG" and self._pixels > _KEPT_WHOLE:
            yield LoadedPhoto(self, scale, self.frame(min_side), None)
            return
        with BUDGET.hold(self.bytes_needed(1, scale)):
            pixels = self._stored(1)
            frame = upright(pixels.frame(scale), self.orientation)
            loaded = LoadedPhoto(self, scale, frame, pixels)
            del pixels
            try:
                yield loaded
            finally:
                loaded.pixels = None  # before the next one may start

    @contextmanager
    def finest(self) -> Iterator[Pixels]:
        """The stored pixels of a large JPEG, in the least reduction that memory allows."""
        needs = {scale: self.bytes_needed(scale, scale) for scale in (8, 4, 2, 1)}
        scale = min((s for s in needs if needs[s] <= BUDGET.limit_bytes), default=8)
        with BUDGET.hold(needs[scale]):
            yield self._stored(scale)

    def _stored(self, scale: int) -> Pixels:
        """The pixels, not turned; only JPEGs come reduced."""
        if self._is_plain_jpeg:
            return ArrayPixels(decode_jpeg(self.data, *self.stored_size, scale), scale)
        return stored_pixels(self.data, self.format, scale if self.format == "JPEG" else 1)

    @property
    def _pixels(self) -> int:
        return self.stored_size[0] * self.stored_size[1]

    @property
    def _is_plain_jpeg(self) -> bool:
        return self.format == "JPEG" and self.mode in {"L", "RGB"}

    def bytes_needed(self, decoded_at: int, scale: int) -> int:
        """At most, to decode at one reduction and make a frame at the same or a greater one."""
        if self.format == "JPEG":
            decoded = (3 if self._is_plain_jpeg else 7) / decoded_at**2
            decoding = decoded + coefficient_bytes(self.data)
        else:
            decoded, decoding = DECODED_BYTES, DECODING_BYTES[self.format]
        frame = 3 / scale**2
        return round(self._pixels * max(decoding, decoded + frame, 2 * frame))


@dataclass(slots=True)
class LoadedPhoto:
    """What a photo's faces are found in, and cropped from."""

    photo: Photo
    reduction: int
    frame: Image  # upright, 1 / reduction of the photo
    pixels: Pixels | None  # None: decode again for regions

    @property
    def corner(self) -> tuple[int, int]:
        """Where in the upright photo the frame begins: x, y, pixels.

        Sides that the reduction does not divide leave a rest at the stored photo's far end, which
        may be the upright one's near end.
        """
        width, height = self.photo.size
        seen_height, seen_width = (side * self.reduction for side in self.frame.shape[:2])
        rest = width - seen_width, height - seen_height
        return upright_corner(rest, self.photo.orientation)

    def regions(self, boxes: list[Box]) -> Iterator[Image]:
        """(h, w, 3) uint8 RGB of each box of the upright photo, pixels; boxes lie within it."""
        again = self.photo.finest() if self.pixels is None else nullcontext(self.pixels)
        with again as pixels:
            for box in boxes:
                at = stored_box(box, self.photo.orientation, *self.photo.stored_size)
                yield upright(pixels.region(at), self.photo.orientation)


def decode_image(
    data: bytes, *, min_side: int | None = None, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Image:
    """One upright RGB frame of a photo. -> (h, w, 3) uint8, 0..255.

    JPEG, PNG, WebP, HEIC/HEIF, AVIF, TIFF, BMP and GIF (the first frame). ``min_side`` allows a
    reduced frame, see Photo.frame. Raises UnsupportedMedia (no photo), UnreadableMedia (damaged),
    MediaTooLarge (more than ``max_pixels``, or than ``budget.LIMIT_BYTES`` to decode).
    """
    return open_photo(data, max_pixels=max_pixels).frame(min_side)


def open_photo(data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Photo:
    """Read a photo's header, decode nothing. Raises as decode_image does."""
    from memoria.media.pillow import opened, orientation, refuse_raw

    kind = photo_format(data)
    with opened(data, kind) as image:
        refuse_raw(image)
        width, height = image.size
        photo = Photo(data, kind, image.mode, (width, height), orientation(image, data, kind))
    if width < 1 or height < 1:
        raise UnreadableMedia("the photo has no pixels")
    if width * height > max_pixels or max(width, height) > _MAX_SIDE:
        raise MediaTooLarge(
            f"the photo has {width} × {height} pixels, the limit is {max_pixels // 10**6} million"
        )
    return photo
