"""Photos as the demo itself reads them, beside the functions: for previews and for its page."""

from functools import cache

from memoria.arrays import Image
from memoria.media.children import Decoders

WHOLE_PX = 2400  # of the shorter side: enough for a page; the whole of 108 megapixels is too much
WAIT_SECONDS = 600.0  # for a decoder; a demo has time, and its photos come four at once


def frame_of(data: bytes, min_side: int = WHOLE_PX) -> Image:
    """One upright RGB frame, reduced where its shorter side stays so long. Raises MemoriaError.

    In a child: libraries write of damage to the terminal, without the name of the file, and some
    damage ends the process that decodes it.
    """
    with _decoders().opened(data) as photo:
        return photo.frame(min_side)


@cache
def _decoders() -> Decoders:
    return Decoders(wait_seconds=WAIT_SECONDS)
