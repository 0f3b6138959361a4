"""Large photos with faces of known sizes, and collages: faces of the test data on textured grounds.

The people of the test data fall into two halves: constants were chosen on one (``TUNING``), the
figures of the documentation are those of the other.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.faceless import Size, texture
from memoria.arrays import F32, Image
from memoria.faces import Engine
from memoria.media import decode_image

SHARED = Path(__file__).parents[2] / "shared"
TUNING, JUDGING = 0, 1  # which half of the people
LARGE = (0.08, 0.35)  # faces of people near the camera, of the photo's shorter side
_BESIDE = 0.9  # of a face's size, that is kept around its box
_TURNS = (None, cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)
_GROUPS = (
    ("events/sitcom/IMG_0034.jpg", "photos/selfie_6_faces.jpg"),
    ("photos/solvay_1927_29_faces.png",),
)
_FEW = (
    _GROUPS[TUNING],
    tuple(f"events/sitcom/IMG_00{number}.jpg" for number in ("03", "05", "07", "18")),
)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Pixels, where in them the faces are, and whose they are."""

    image: Image
    boxes: F32  # (n, 4) x1 y1 x2 y2, pixels
    vectors: F32  # (n, 512) of the faces in their own photos

    @property
    def sizes(self) -> F32:
        """(n,) the geometric mean of each face's width and height, pixels."""
        sizes: F32 = np.sqrt((self.boxes[:, 2:] - self.boxes[:, :2]).prod(axis=1))
        return sizes

    @property
    def size(self) -> float:
        """The median size."""
        return float(np.median(self.sizes))

    def scaled(self, scale: float) -> "Picture":
        """Larger or smaller."""
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        size = [max(1, round(side * scale)) for side in self.image.shape[1::-1]]
        return Picture(
            np.asarray(cv2.resize(self.image, size, interpolation=how), np.uint8),
            self.boxes * np.float32(scale),
            self.vectors,
        )

    def turned(self, quarters: int) -> "Picture":
        """Clockwise."""
        if not quarters:
            return self
        height, width = self.image.shape[:2]
        x1, y1, x2, y2 = self.boxes.T
        boxes = {
            1: (height - y2, x1, height - y1, x2),
            2: (width - x2, height - y2, width - x1, height - y1),
            3: (y1, width - x2, y2, width - x1),
        }[quarters]
        image = np.asarray(cv2.rotate(self.image, _TURNS[quarters]), np.uint8)  # type: ignore[arg-type]
        return Picture(image, np.stack(boxes, axis=1), self.vectors)


@dataclass(frozen=True, slots=True)
class Cast:
    """The people of one half: single faces, groups, and groups of three to six."""

    singles: list[Picture]
    groups: list[Picture]
    few: list[Picture]


def cast(engine: Engine, half: int, every: int = 1) -> Cast:
    """Every n-th person's first portrait, and group photos; faces as found in the originals."""
    read = json.loads((SHARED / "events/portraits/labels.json").read_text())["photos"]
    first: dict[str, str] = {}
    for name, who in sorted(read.items()):
        first.setdefault(who if isinstance(who, str) else who[0], name)
    names = [first[who] for who in sorted(first)][half :: 2 * every]
    singles = [_single(engine, SHARED / "events/portraits" / name) for name in names]
    groups, few = (
        [_group(engine, SHARED / name) for name in names[half]] for names in (_GROUPS, _FEW)
    )
    return Cast([picture for picture in singles if picture], groups, few)


def scene(
    rng: np.random.Generator, size: Size, near: list[Picture], far: list[Picture], share: float
) -> Picture:
    """People near the camera (LARGE), and others whose faces are ``share`` of the shorter side.

    The largest are placed first; those for whom there is no room are left out.
    """
    shorter = min(size)
    pictures = [p.scaled(rng.uniform(*LARGE) * shorter / p.size) for p in near]
    pictures += [p.scaled(share * shorter / p.size) for p in far]
    ground, placed = texture(rng, size), []
    taken = np.zeros((0, 4), int)
    for picture in sorted(pictures, key=lambda p: -p.image.size):
        place = _free_place(rng, picture.image.shape[:2], size, taken)
        if place is not None:
            taken = np.concatenate([taken, [place]])
            placed.append(_pasted(ground, picture, place, oval=rng.random() < 0.5))
    return _together(ground, placed)


def collage(rng: np.random.Generator, pictures: list[Picture], side: int = 700) -> Picture:
    """Tiles in rows and columns on white, each turned some way."""
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    page, placed = np.full((rows * side, columns * side, 3), 240, np.uint8), []
    for i, picture in enumerate(pictures):
        tile = picture.scaled((side - 20) / max(picture.image.shape[:2]))
        tile = tile.turned(int(rng.integers(4)))
        x, y = side * (i % columns) + 10, side * (i // columns) + 10
        placed.append(_pasted(page, tile, (x, y), oval=False))
    return _together(page, placed)


def _free_place(
    rng: np.random.Generator, wanted: Size, size: Size, taken: NDArray[np.int_]
) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of a place of this height and width, if there is one."""
    (height, width), room = wanted, (size[0] - wanted[0] + 1, size[1] - wanted[1] + 1)
    if min(room) < 1:
        return None
    for _ in range(200):
        y, x = (int(rng.integers(length)) for length in room)
        place = x, y, x + width, y + height
        before = (taken[:, 2:] <= place[:2]).any(axis=1)
        after = (taken[:, :2] >= place[2:]).any(axis=1)
        if (before | after).all():
            return place
    return None


def _pasted(ground: Image, picture: Picture, place: tuple[int, ...], *, oval: bool) -> Picture:
    """The picture, its left top corner at a place of the ground: there as well as in the result."""
    height, width = picture.image.shape[:2]
    x, y = place[:2]
    part = ground[y : y + height, x : x + width]
    mask = _oval(picture) if oval and len(picture.boxes) == 1 else np.ones((1, 1, 1), np.float32)
    part[:] = picture.image * mask + part * (1 - mask)
    return Picture(part, picture.boxes + np.array([x, y, x, y], np.float32), picture.vectors)


def _oval(picture: Picture) -> F32:
    """(h, w, 1), 0..1, soft around the face: no edge that tells where it was pasted."""
    height, width = picture.image.shape[:2]
    x1, y1, x2, y2 = picture.boxes[0]
    x = (np.arange(width) - (x1 + x2) / 2) / ((x2 - x1) * 0.75)
    y = (np.arange(height) - (y1 + y2) / 2) / ((y2 - y1) * 0.7)
    mask: F32 = np.clip((1.2 - np.hypot(x, y[:, None])) / 0.2, 0, 1)[..., None].astype(np.float32)
    return mask


def _together(image: Image, placed: list[Picture]) -> Picture:
    boxes = [np.empty((0, 4), np.float32), *(picture.boxes for picture in placed)]
    vectors = [np.empty((0, 512), np.float32), *(picture.vectors for picture in placed)]
    return Picture(image, np.concatenate(boxes), np.concatenate(vectors))


def _single(engine: Engine, path: Path) -> Picture | None:
    """The face in the middle of a portrait, with what is beside it."""
    whole = _group(engine, path)
    middle = np.array(whole.image.shape[1::-1]) / 2
    off = np.abs(whole.boxes.reshape(-1, 2, 2).mean(axis=1) - middle).max(axis=1)
    if not len(off) or off.min() > 0.15 * min(whole.image.shape[:2]):
        return None
    i = int(off.argmin())
    box, beside = whole.boxes[i], _BESIDE / 2 * float(whole.sizes[i])
    left, top = np.maximum(box[:2] - beside, 0).astype(int)
    right, bottom = np.minimum(box[2:] + beside, whole.image.shape[1::-1]).astype(int)
    corner = np.array([left, top, left, top], np.float32)
    image = whole.image[top:bottom, left:right]
    return Picture(image, (box - corner)[None], whole.vectors[i : i + 1])


def _group(engine: Engine, path: Path) -> Picture:
    """Everybody in a photo."""
    image = decode_image(path.read_bytes())
    faces = engine.find_faces(image)
    corners = [np.concatenate([face.box[:2], face.box[:2] + face.box[2:]]) for face in faces]
    extent = np.tile(np.array(image.shape[1::-1], np.float32), 2)
    boxes = np.reshape(corners, (-1, 4)).astype(np.float32) * extent
    vectors = np.reshape([face.embedding for face in faces], (-1, 512)).astype(np.float32)
    return Picture(image, boxes, vectors)
