"""Photos for the benchmarks: camera-like texture, magenta squares where the twins see faces."""

import math
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.twins import SQUARE_PX

Image = NDArray[np.uint8]
SPACING = 1.5  # of markers, in their sides: closer ones would be taken for one
MEGAPIXELS_12 = (4000, 3000)
MEGAPIXELS_48 = (8000, 6000)


def photo(size: tuple[int, int], faces: int, *, seed: int = 0, square_px: int = SQUARE_PX) -> Image:
    """A (h, w, 3) uint8 RGB photo with markers ``square_px`` wide where it is 640 px long."""
    width, height = size
    image = _texture(size, seed).copy()
    side = round(square_px * max(size) / 640)
    for x, y in _places(width, height, side, faces):
        image[y : y + side, x : x + side] = _marker(side)
    return image


def jpeg(image: Image, quality: int = 90) -> bytes:
    """The RGB image as a baseline 4:2:0 JPEG."""
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    assert done
    return data.tobytes()


@cache
def _texture(size: tuple[int, int], seed: int) -> Image:
    """Noise in octaves, about as costly to compress as a photo, in muted colours."""
    rng = np.random.default_rng(seed)
    width, height = size
    grey = np.zeros((height, width), np.float32)
    for octave in (8, 32, 128, 512, max(size) // 2):
        noise = rng.normal(0, 14, (octave * height // width + 1, octave)).astype(np.float32)
        grey += cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
    tint = cv2.resize(rng.normal(0, 10, (6, 8, 3)).astype(np.float32), size)
    image: Image = np.clip(grey[..., None] + tint + 118, 0, 255).astype(np.uint8)
    return image


def _places(width: int, height: int, side: int, count: int) -> list[tuple[int, int]]:
    """Top left corners, spread over a grid just large enough."""
    rows = max(1, math.ceil(math.sqrt(count * height / width)))
    columns = max(1, math.ceil(count / rows))
    if min(width / columns, height / rows) < SPACING * side:
        raise ValueError(f"{count} markers of {side} pixels do not fit into {width} x {height}")
    return [
        (
            int((column + 0.5) * width / columns - side / 2),
            int((row + 0.5) * height / rows - side / 2),
        )
        for row in range(rows)
        for column in range(columns)
    ][:count]


@cache
def _marker(side: int) -> Image:
    """Magenta in two strengths, so that it is as sharp as a face in focus."""
    grid = np.indices((side, side)).sum(axis=0) // max(2, side // 24) % 2
    marker = np.zeros((side, side, 3), np.uint8)
    marker[..., 0] = marker[..., 2] = np.where(grid, 255, 170)
    return marker
