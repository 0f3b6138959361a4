"""What the rest of the library sees of a photo: open → frame → regions, wherever it is decoded."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from memoria.arrays import Box, Image

DEFAULT_MAX_PIXELS = 1_000_000_000  # a ceiling: what memory allows is less (budget.LIMIT_BYTES)


class Photo(Protocol):
    """A photo whose header was read and is within limits; nothing of it is decoded yet."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright photo, pixels."""
        ...

    def frame(self, min_side: int | None = None) -> Image:
        """(h, w, 3) uint8 RGB, upright, contiguous.

        ``min_side`` allows a frame reduced to a half, a quarter or an eighth whose shorter side
        is at least so long. Raises UnreadableMedia, MediaTooLarge.
        """
        ...

    def loaded(self, min_side: int | None) -> AbstractContextManager["LoadedPhoto"]:
        """The photo for as long as the block lasts: a reduced frame, and regions at full size.

        Raises as ``frame``.
        """
        ...


class LoadedPhoto(Protocol):
    """What a photo's faces are found in, and cropped from."""

    @property
    def photo(self) -> Photo:
        """Whose pixels these are."""
        ...

    @property
    def frame(self) -> Image:
        """(h, w, 3) uint8 RGB, upright, 1 / reduction of the photo."""
        ...

    @property
    def reduction(self) -> int:
        """1, 2, 4 or 8."""
        ...

    @property
    def corner(self) -> tuple[int, int]:
        """Where in the upright photo the frame begins: x, y, pixels.

        Sides that the reduction does not divide leave a rest at the stored photo's far end, which
        may be the upright one's near end.
        """
        ...

    def regions(self, boxes: list[Box]) -> Iterator[Image]:
        """(h, w, 3) uint8 RGB of each box of the upright photo, pixels; boxes lie within it."""
        ...


OpenPhoto = Callable[[bytes, int], AbstractContextManager[Photo]]  # bytes, most pixels
