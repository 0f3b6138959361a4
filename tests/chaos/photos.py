"""What is uploaded: events of people who recur, and the files that no decoder makes sense of."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from memoria.faces.geometry import CROP_PX
from tests.chaos.pack import BLOCK_PX, CELL_PX, MARGIN_PX, PATTERN

SIDE_PX, TILE_PX = 640, 160  # up to 4 x 4 faces, their markers on the detector's cells
MAX_MEDIA_BYTES = 400_000  # what the functions are told to accept
_CONTRAST, _NOISE = 80.0, 30.0  # grey levels: faces of one person have a cosine near 0.88

# what is wrong with a file -> the reason it must fail with
BROKEN = {
    "noise": "unreadable_media",
    "cut off": "unreadable_media",
    "pdf": "unsupported_media_type",
    "huge": "media_too_large",
    "missing": "media_gone",
}


@dataclass(frozen=True, slots=True)
class Photo:
    """One media item and what must become of it."""

    event: str
    number: int
    seed: int
    people: tuple[int, ...] = ()  # who is in it; negative: seen only here
    broken: str | None = None
    late: bool = False  # uploaded once the event was clustered
    deleted: bool = False  # by its owner, as soon as it was uploaded

    @property
    def media_id(self) -> str:
        """Unique among all events."""
        return f"{self.event}-{self.number:04d}"

    @property
    def path(self) -> str:
        """Where it lies in its bucket."""
        return f"{self.event}/IMG {self.number:04d}.jpg"

    @property
    def error(self) -> str | None:
        """The reason it must fail with, if it must."""
        return BROKEN[self.broken] if self.broken else None

    def data(self) -> bytes | None:
        """The file; None: it was never uploaded."""
        rng = np.random.default_rng([self.seed, self.number, *self.event.encode()])
        match self.broken:
            case "missing":
                return None
            case "pdf":
                return b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"
            case "noise":
                return b"\xff\xd8\xff\xe0" + rng.bytes(20_000)
            case "huge":
                return self._jpeg(rng) + bytes(MAX_MEDIA_BYTES)
            case "cut off":
                return self._jpeg(rng)[:150]
        return self._jpeg(rng)

    def _jpeg(self, rng: np.random.Generator) -> bytes:
        image = np.full((SIDE_PX, SIDE_PX, 3), 128, np.uint8)
        tiles = rng.permutation((SIDE_PX // TILE_PX) ** 2)
        for tile, person in zip(tiles, self.people, strict=False):
            row, column = divmod(int(tile), SIDE_PX // TILE_PX)
            _paint(image, row * TILE_PX, column * TILE_PX, _face(self.event, person, rng))
        done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])
        assert done
        return data.tobytes()


def _face(event: str, person: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(14, 14) grey levels: the person's own pattern, and this moment's noise."""
    return _pattern(event, person) + rng.normal(0, _NOISE, (PATTERN, PATTERN))


@cache
def _pattern(event: str, person: int) -> NDArray[np.float64]:
    rng = np.random.default_rng([person + 100_000, *event.encode()])
    return 128 + rng.choice([-_CONTRAST, _CONTRAST], (PATTERN, PATTERN))


def _paint(image: NDArray[np.uint8], y: int, x: int, face: NDArray[np.float64]) -> None:
    """The face in the middle of its tile, its green marker exactly on a cell of the detector."""
    marker = 2 * CELL_PX
    top, left = y + marker - MARGIN_PX, x + marker - MARGIN_PX
    grey = np.clip(face, 0, 255).astype(np.uint8).repeat(BLOCK_PX, 0).repeat(BLOCK_PX, 1)
    image[top : top + CROP_PX, left : left + CROP_PX] = grey[..., None]
    image[y + marker : y + marker + CELL_PX, x + marker : x + marker + CELL_PX] = (0, 255, 0)


def plan(photos: int, events: int, seed: int) -> list[Photo]:
    """At least ``photos`` over several events: the last event holds nothing that can be read."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(events - 1, 4.0)) * (photos - len(BROKEN))
    planned = [
        photo
        for number, share in enumerate(shares)
        for photo in _event(f"event{number}", max(12, math.ceil(share)), rng, seed)
    ]
    nothing = [Photo("ruins", n, seed, broken=what) for n, what in enumerate(BROKEN)]
    return planned + nothing


def _event(name: str, photos: int, rng: np.random.Generator, seed: int) -> Iterator[Photo]:
    regulars = max(3, photos // 12)
    broken = list(BROKEN)
    for number in range(photos):
        chosen = rng.choice(regulars, rng.integers(0, min(5, regulars + 1)), replace=False)
        strangers = [-1 - number] if rng.random() < 0.1 else []
        yield Photo(
            name,
            number,
            seed,
            people=(*(int(person) for person in chosen), *strangers),
            broken=broken[int(rng.integers(len(broken)))] if rng.random() < 0.05 else None,
            late=number >= photos - photos // 8,
            deleted=number % 25 == 7,
        )
