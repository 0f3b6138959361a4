"""What a header walk hands on, and what all walks share."""

from dataclasses import dataclass, field

from memoria.errors import UnreadableMedia


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a photo's file says of itself, read by us before any library sees it.

    ``data`` is what decoders are given: the picture without metadata, comments, further frames.
    """

    kind: str  # JPEG, PNG, GIF, BMP, TIFF, WEBP, HEIF or AVIF
    data: bytes = field(repr=False)
    size: tuple[int, int]  # width, height before turning, pixels
    orientation: int = 1  # EXIF's 1 to 8: how to turn the decoded pixels
    largest: int = 0  # pixels of the largest picture named anywhere in the file
    missing: int = 0  # bytes at the end of ``data`` that are zeros for those of a file cut off

    @property
    def pixels(self) -> int:
        """What a decoder may have to make room for."""
        return max(self.largest, self.size[0] * self.size[1])


def damaged(kind: str, what: str) -> UnreadableMedia:
    """The error of a file whose structure makes no sense: one plain sentence."""
    return UnreadableMedia(f"the {kind} is damaged: {what}")


def excessive(kind: str, limit: int, what: str) -> UnreadableMedia:
    """The error of a file that has more of something than any photo: one plain sentence."""
    return UnreadableMedia(f"the {kind} has over {limit} {what}")
