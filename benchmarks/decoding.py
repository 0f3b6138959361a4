"""What it costs to decode in a child instead of in the calling process.

``python -m benchmarks.decoding`` prints medians in milliseconds for photos of 12 megapixels.
"""

import io
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

from memoria.media import OpenPhoto, opened_here
from memoria.media.children import Decoders

SIZE = (4000, 3000)
SIDE = 960  # of the frame that detection asks for
TIMES = 25


def photo(kind: str) -> bytes:
    """Smooth colours under a camera's noise."""
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 255, (9, 12, 3), np.uint8))
    smooth = np.asarray(colours.resize(SIZE, Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = smooth + rng.integers(-8, 9, smooth.shape, np.int16)
    buffer = io.BytesIO()
    options = {"JPEG": {"quality": 88}, "PNG": {"compress_level": 1}}.get(kind, {})
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(buffer, kind, **options)
    return buffer.getvalue()


def milliseconds(opened: OpenPhoto, data: bytes) -> float:
    """To see every pixel of a frame."""
    started = time.perf_counter()
    with opened(data, 10**9) as known, known.loaded(SIDE) as loaded:
        loaded.frame.sum()
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    decoders = Decoders()
    places: dict[str, Callable[..., object]] = {"here": opened_here, "child": decoders.opened}
    for kind in ("JPEG", "PNG", "WEBP"):
        data = photo(kind)
        taken: dict[str, list[float]] = {place: [] for place in places}
        for _ in range(TIMES):
            for place, opened in places.items():
                taken[place].append(milliseconds(opened, data))  # type: ignore[arg-type]
        here, child = (statistics.median(values) for values in taken.values())
        sys.stdout.write(f"{kind}, {len(data) / 1e6:.1f} MB: here {here:.1f}, child {child:.1f}\n")
    decoders.close()


if __name__ == "__main__":
    main()
