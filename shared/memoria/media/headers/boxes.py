"""Boxes of an ISO base media file (ISO/IEC 14496-12), walked with a limit on their number."""

from collections.abc import Iterator
from dataclasses import dataclass

from memoria.media.headers.header import damaged, excessive

MOST_BOXES = 20_000


@dataclass(slots=True)
class Boxes:
    """A file's boxes, counted."""

    data: bytes
    kind: str
    count: int = 0

    def within(self, at: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
        """Kind, start and end of each box's body."""
        while at + 8 <= stop:
            self.count += 1
            if self.count > MOST_BOXES:
                raise excessive(self.kind, MOST_BOXES, "boxes")
            length, start = self.number(at, 4), at + 8
            if length == 1:
                length, start = self.number(at + 8, 8), at + 16
            end = stop if length == 0 else min(at + length, stop)
            if end < start:
                raise damaged(self.kind, "a box is shorter than its own head")
            yield self.data[at + 4 : at + 8], start, end
            at = end

    def first(self, at: int, stop: int, kind: bytes) -> tuple[int, int] | None:
        """Start and end of the first box of a kind."""
        return next(((s, e) for found, s, e in self.within(at, stop) if found == kind), None)

    def number(self, at: int, size: int) -> int:
        return int.from_bytes(self.data[at : at + size], "big")
