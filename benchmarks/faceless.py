"""Photos without faces, made from a seed: noise, textures, landscapes, text, patterns."""

from collections.abc import Callable

import cv2
import numpy as np

from memoria.arrays import F32, Image

Size = tuple[int, int]  # height, width, pixels
SIZE = (720, 960)
LARGE = (3000, 4000)
Kind = Callable[[np.random.Generator, Size], Image]


def noise(rng: np.random.Generator, size: Size = SIZE) -> Image:
    """White noise of a random grain."""
    grain = int(rng.integers(1, 60))
    small = rng.integers(0, 255, (size[0] // grain + 1, size[1] // grain + 1, 3), np.uint8)
    return np.asarray(_stretched(small, size), np.uint8)


def texture(rng: np.random.Generator, size: Size = SIZE) -> Image:
    """Noise in octaves, down to a three-hundredth of the side: stone, cloth, foliage."""
    result = np.zeros((*size, 3), np.float32)
    for octave in (4, 9, 30, 90, 300):
        layer = rng.normal(0, rng.uniform(5, 40), (octave, octave, 3)).astype(np.float32)
        result += _stretched(layer, size)
    return _bytes(result + rng.uniform(60, 190, 3).astype(np.float32))


def landscape(rng: np.random.Generator, size: Size = SIZE) -> Image:
    """Sky, a sun, ridges behind one another, grass."""
    height, width = size
    unit = height / SIZE[0]
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    sky = np.array([120, 160, 230], np.float32) * (np.float32(0.6) + np.float32(0.4) * rows)
    image: F32 = np.broadcast_to(sky, (*size, 3)).copy()
    sun = tuple(int(v * unit) for v in rng.integers(50, 600, 2))
    cv2.circle(image, sun, int(45 * unit), (250, 240, 190), -1)
    for depth in range(4):
        ridge = unit * (np.cumsum(rng.normal(0, 3, width)) + 250 + 120 * depth)
        below = np.arange(height)[:, None] > ridge
        image[below] = np.array([70, 110, 60]) * rng.uniform(0.5, 1.3)
    return _bytes(image + rng.normal(0, 8, image.shape).astype(np.float32))


def text(rng: np.random.Generator, size: Size = SIZE) -> Image:
    """A page of letters."""
    page = np.full((*size, 3), 245, np.uint8)
    for y in range(30, size[0], 26):
        letters = "".join(chr(c) for c in rng.integers(33, 122, size[1] // 16))
        cv2.putText(page, letters, (10, y), int(rng.integers(0, 8)), 0.7, (20, 20, 20), 1)
    return page


def pattern(rng: np.random.Generator, size: Size = SIZE) -> Image:
    """Discs, rings, stripes and checks: round things in pairs are what fools detectors."""
    image = np.full((*size, 3), rng.integers(0, 255, 3), np.uint8)
    step = int(rng.integers(30, 160))
    for y in range(0, size[0], step):
        for x in range(0, size[1], step):
            colour = tuple(int(v) for v in rng.integers(0, 255, 3))
            thick = int(rng.choice([-1, 2, 6]))
            if rng.random() < 0.6:
                cv2.circle(image, (x, y), int(rng.integers(4, step)), colour, thick)
            else:
                cv2.rectangle(image, (x, y), (x + step // 2, y + step // 3), colour, thick)
    return image


KINDS: dict[str, Kind] = {
    "noise": noise,
    "textures": texture,
    "landscapes": landscape,
    "text": text,
    "patterns": pattern,
}


def _stretched(small: np.ndarray, size: Size) -> np.ndarray:
    return np.asarray(cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC))


def _bytes(values: np.ndarray) -> Image:
    return np.asarray(np.clip(values, 0, 255), np.uint8)
