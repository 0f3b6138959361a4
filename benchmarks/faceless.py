"""Photos without faces, made from a seed: noise, textures, landscapes, text, patterns."""

from collections.abc import Callable

import cv2
import numpy as np

from memoria.arrays import Image

SIZE = (720, 960)


def noise(rng: np.random.Generator) -> Image:
    """White noise of a random grain."""
    grain = int(rng.integers(1, 60))
    small = rng.integers(0, 255, (SIZE[0] // grain + 1, SIZE[1] // grain + 1, 3), np.uint8)
    return _full(small)


def texture(rng: np.random.Generator) -> Image:
    """Noise in octaves: stone, cloth, foliage."""
    result = np.zeros((*SIZE, 3), np.float32)
    for octave in (4, 9, 30, 90, 300):
        layer = rng.normal(0, rng.uniform(5, 40), (octave, octave, 3)).astype(np.float32)
        result += cv2.resize(layer, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    return _bytes(result + rng.uniform(60, 190, 3))


def landscape(rng: np.random.Generator) -> Image:
    """Sky, a sun, ridges behind one another, grass."""
    rows = np.linspace(0, 1, SIZE[0])[:, None, None]
    image = np.broadcast_to(np.array([120, 160, 230]) * (0.6 + 0.4 * rows), (*SIZE, 3)).copy()
    cv2.circle(image, tuple(int(v) for v in rng.integers(50, 600, 2)), 45, (250, 240, 190), -1)
    for depth in range(4):
        ridge = np.cumsum(rng.normal(0, 3, SIZE[1])) + 250 + 120 * depth
        below = np.arange(SIZE[0])[:, None] > ridge
        image[below] = np.array([70, 110, 60]) * rng.uniform(0.5, 1.3)
    return _bytes(image + rng.normal(0, 8, image.shape))


def text(rng: np.random.Generator) -> Image:
    """A page of letters."""
    page = np.full((*SIZE, 3), 245, np.uint8)
    for y in range(30, SIZE[0], 26):
        letters = "".join(chr(c) for c in rng.integers(33, 122, 60))
        cv2.putText(page, letters, (10, y), int(rng.integers(0, 8)), 0.7, (20, 20, 20), 1)
    return page


def pattern(rng: np.random.Generator) -> Image:
    """Discs, rings, stripes and checks: round things in pairs are what fools detectors."""
    image = np.full((*SIZE, 3), rng.integers(0, 255, 3), np.uint8)
    step = int(rng.integers(30, 160))
    for y in range(0, SIZE[0], step):
        for x in range(0, SIZE[1], step):
            colour = tuple(int(v) for v in rng.integers(0, 255, 3))
            thick = int(rng.choice([-1, 2, 6]))
            if rng.random() < 0.6:
                cv2.circle(image, (x, y), int(rng.integers(4, step)), colour, thick)
            else:
                cv2.rectangle(image, (x, y), (x + step // 2, y + step // 3), colour, thick)
    return image


KINDS: dict[str, Callable[[np.random.Generator], Image]] = {
    "noise": noise,
    "textures": texture,
    "landscapes": landscape,
    "text": text,
    "patterns": pattern,
}


def _full(small: Image) -> Image:
    return np.asarray(cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def _bytes(values: np.ndarray) -> Image:
    return np.asarray(np.clip(values, 0, 255), np.uint8)
