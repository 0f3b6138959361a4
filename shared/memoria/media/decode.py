"""Bytes -> upright RGB, with its limits checked before anything is decoded.

Colour profiles are left alone: detectors and recognisers were trained on pixels as stored.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

from memoria.arrays import Box, Image
from memoria.errors import MediaTooLarge, UnreadableMedia
from memoria.media.budget import BUDGET
from memoria.media.formats import photo_format
from memoria.media.headers import Header, HeifHeader, JpegHeader, RawPhoto, read_header
from memoria.media.jpeg import decode_jpeg, reduction
from memoria.media.orientation import stored_box, upright, upright_corner
from memoria.media.photo import DEFAULT_MAX_PIXELS
from memoria.media.pixels import ArrayPixels, Pixels
from memoria.media.stored import decoded_bytes, decoding_bytes, stored_pixels

_MAX_SIDE = 65_500  # what JPEG can say
_KEPT_WHOLE = 8_000_000  # pixels of a JPEG up to which it is decoded once: four requests hold four


@dataclass(frozen=True, slots=True)
class DecodedHere:
    """A Photo that is decoded in this process; each decode is a new one."""

    header: Header

    @property
    def format(self) -> str:
        """JPEG, PNG, GIF, BMP, TIFF, WEBP, HEIF or AVIF."""
        return self.header.kind

    @property
    def orientation(self) -> int:
        """What is left to apply after decoding: EXIF's 1 to 8."""
        return self.header.orientation

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height before turning, pixels."""
        return self.header.size

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright photo, pixels."""
        width, height = self.stored_size
        return (height, width) if self.orientation >= 5 else (width, height)

    def frame(self, min_side: int | None = None) -> Image:
        """As photo.Photo says."""
        scale = self._reduction(min_side)
        with BUDGET.hold(self.bytes_needed(scale if self.format == "JPEG" else 1, scale)):
            pixels = self._stored(scale)
            stored = pixels.frame(scale // pixels.reduction)
            del pixels  # before a turned copy is made
            return upright(stored, self.orientation)

    @contextmanager
    def loaded(self, min_side: int | None) -> Iterator["LoadedHere"]:
        """As photo.Photo says.

        Decoded once, but large JPEGs, whose regions cost a second decode.
        """
        scale = self._reduction(min_side)
        if not self._is_kept:
            yield LoadedHere(self, scale, self.frame(min_side), None)
            return
        with BUDGET.hold(self.bytes_needed(1, scale)):
            pixels = self._stored(1)
            frame = upright(pixels.frame(scale), self.orientation)
            loaded = LoadedHere(self, scale, frame, pixels)
            del pixels
            try:
                yield loaded
            finally:
                loaded.pixels = None  # before the next one may start

    @contextmanager
    def finest(self) -> Iterator[Pixels]:
        """The stored pixels of a large JPEG, in the least reduction that memory allows."""
        scale, needed = self._finest()
        with BUDGET.hold(needed):
            yield self._stored(scale)

    def plan(self, min_side: int | None) -> tuple[int, int]:
        """Bytes to load the photo and hand its frame over, and to decode it again for regions.

        The second is 0 where its pixels are kept.
        """
        scale = self._reduction(min_side)
        frame = round(3 * self._pixels / scale**2)
        if self._is_kept:
            return self.bytes_needed(1, scale) + frame, 0
        return self.bytes_needed(scale, scale) + frame, self._finest()[1]

    def _finest(self) -> tuple[int, int]:
        """The least reduction that memory allows, and the bytes it takes."""
        needs = {scale: self.bytes_needed(scale, scale) for scale in (8, 4, 2, 1)}
        scale = min((s for s in needs if needs[s] <= BUDGET.limit_bytes), default=8)
        return scale, needs[scale]

    def _reduction(self, min_side: int | None) -> int:
        return reduction(min(self.stored_size), min_side)

    @property
    def _is_kept(self) -> bool:
        """Whether pixels stay for regions; large JPEGs are quickly decoded again."""
        return self.format != "JPEG" or self._pixels <= _KEPT_WHOLE

    def _stored(self, scale: int) -> Pixels:
        """The pixels, not turned; only JPEGs come reduced."""
        if isinstance(self.header, JpegHeader):
            return ArrayPixels(decode_jpeg(self.header, scale), scale)
        return stored_pixels(self.header)

    @property
    def _pixels(self) -> int:
        return self.stored_size[0] * self.stored_size[1]

    def bytes_needed(self, decoded_at: int, scale: int) -> int:
        """At most, to decode at one reduction and make a frame at the same or a greater one."""
        frame = 3 * self._pixels / scale**2
        if isinstance(self.header, JpegHeader):
            decoded = (7 if self.header.components == 4 else 3) * self._pixels / decoded_at**2
            decoding = decoded + self.header.kept * self._pixels
        else:
            decoded = decoded_bytes(self.header)
            decoding = decoding_bytes(self.header)
        return round(max(decoding, decoded + frame, 2 * frame))


@dataclass(slots=True)
class LoadedHere:
    """A LoadedPhoto of this process."""

    photo: DecodedHere
    reduction: int
    frame: Image  # upright, 1 / reduction of the photo
    pixels: Pixels | None  # None: decode again for regions

    @property
    def corner(self) -> tuple[int, int]:
        """As photo.LoadedPhoto says."""
        width, height = self.photo.size
        seen_height, seen_width = (side * self.reduction for side in self.frame.shape[:2])
        rest = width - seen_width, height - seen_height
        return upright_corner(rest, self.photo.orientation)

    def regions(self, boxes: list[Box]) -> Iterator[Image]:
        """As photo.LoadedPhoto says."""
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
    reduced frame, see photo.Photo.frame. Raises UnsupportedMedia (no photo), UnreadableMedia
    (damaged), MediaTooLarge (more than ``max_pixels``, or than ``budget.LIMIT_BYTES`` to decode).
    """
    return open_photo(data, max_pixels=max_pixels).frame(min_side)


@contextmanager
def opened_here(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Iterator[DecodedHere]:
    """The photo, to be decoded in this process. Raises as decode_image does."""
    yield open_photo(data, max_pixels=max_pixels)


def open_photo(data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> DecodedHere:
    """Read a photo's header, decode nothing. Raises as decode_image does."""
    header = _header(data)
    width, height = header.size
    if width < 1 or height < 1:
        raise UnreadableMedia("the photo has no pixels")
    if header.pixels > max_pixels or max(width, height) > _MAX_SIDE:
        raise MediaTooLarge(
            f"the photo has {width} × {height} pixels, the limit is {max_pixels // 10**6} million"
        )
    return DecodedHere(_as_decoded(header))


def _header(data: bytes) -> Header:
    kind = photo_format(data)
    try:
        if kind != "RAW":
            return read_header(data, kind)
    except RawPhoto:
        pass
    from memoria.media.raw import read_raw

    return read_raw(data)


def _as_decoded(header: Header) -> Header:
    """A grid too large for memory, or cut off, by its tiles; a HEIF in the size libheif makes.

    libheif turns, mirrors and cuts as the file's own boxes say; of tiles we turn the whole.
    """
    if not isinstance(header, HeifHeader):
        return header
    if header.by_tiles and (header.missing or decoding_bytes(header) > BUDGET.limit_bytes):
        return header.by_tiles
    if header.kind == "AVIF":
        return header
    from memoria.media.pillow import opened

    with opened(header.data, header.kind) as image:
        return replace(header, size=image.size)
