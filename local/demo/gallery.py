"""The answer of the demo as one page: every picture is a data URI, nothing is fetched."""

import base64
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from local.demo.pictures import frame_of
from local.demo.sums import numbered, why_nobody
from memoria.errors import MemoriaError

Json = dict[str, Any]
Pixels = NDArray[np.uint8]

PAGE_BYTES = 12_000_000  # what the photos of a page may weigh: they are made smaller to keep to it
SIDES_PX = (1200, 960, 720, 480, 320)  # of an embedded photo, largest first
BYTES_PER_PIXEL = 0.1  # a guess of what WebP needs, to start with a side that is likely to fit
QUALITY = 78
CROP_PX = 192
CROP_MARGIN = 0.35  # of the box, on every side

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


@dataclass(frozen=True, slots=True)
class Portrait:
    """One person as the page shows them."""

    number: int  # from 1, in the order of the answer
    person_id: str
    name: str  # as given in the app, empty where nobody did
    crop: str  # data URI, empty where their best photo cannot be read any more
    face_count: int

    @property
    def called(self) -> str:
        """For who hears the page read out."""
        return self.name or f"person {self.number}"

    @property
    def hue(self) -> int:
        """Degrees; by the golden angle, so that neighbours never look alike."""
        return round((self.number - 1) * 137.508) % 360


@dataclass(frozen=True, slots=True)
class Picture:
    """One photo as the page shows it."""

    name: str
    uri: str
    size: tuple[int, int]  # width, height of what is embedded, pixels
    boxes: list[tuple[Json, str | None]]  # bbox, person_id

    @property
    def people(self) -> set[str]:
        """Who is in it; also who was hidden in the app, and is not on the page."""
        return {person_id for _, person_id in self.boxes if person_id}

    @property
    def strangers(self) -> int:
        """How many faces belong to nobody."""
        return sum(person_id is None for _, person_id in self.boxes)


def write_gallery(
    answer: Json,
    photos: Mapping[str, Path],
    page: Path,
    *,
    seconds: float | None = None,
    least: int = 3,
    page_bytes: int = PAGE_BYTES,
    advance: Callable[[], object] = lambda: None,
) -> None:
    """Write ``index.html`` for the contents of ``people.json`` and the files that it names.

    ``least`` is MIN_CLUSTER_SIZE; ``advance`` is called after each photo.
    """
    budget = page_bytes // max(1, len(answer["photos"]))
    pictures, crops = _read_photos(answer, photos, budget, advance)
    people = [
        Portrait(
            number=number,
            person_id=person["person_id"],
            name=person["name"] or "",
            crop=crops.get(person["representative_face_id"], ""),
            face_count=person["face_count"],
        )
        for number, person in enumerate(answer["people"], start=1)
    ]
    text = _TEMPLATES.get_template("gallery.html.j2").render(
        people={person.person_id: person for person in people},
        pictures=sorted(pictures, key=lambda picture: (-len(picture.people), picture.name)),
        numbered=numbered,
        why_nobody=why_nobody(answer, least),
        face_total=sum(len(picture.boxes) for picture in pictures),
        stranger_total=sum(picture.strangers for picture in pictures),
        failed={n: p["error"]["message"] for n, p in answer["photos"].items() if "error" in p},
        model=answer["model"],
        seconds=seconds,
    )
    page.write_text(text)


def _read_photos(
    answer: Json, photos: Mapping[str, Path], budget: int, advance: Callable[[], object]
) -> tuple[list[Picture], dict[str, str]]:
    """Every photo that can be read, and the crop of each person's best face by its id."""
    best = {person["representative_face_id"] for person in answer["people"]}
    pictures: list[Picture] = []
    crops: dict[str, str] = {}
    for name, photo in answer["photos"].items():
        for image in _decoded(photos[name]):
            faces = photo["faces"]
            crops |= {
                face["face_id"]: _uri(_crop(image, face["bbox"]))
                for face in faces
                if face["face_id"] in best
            }
            boxes = [(face["bbox"], face["person_id"]) for face in faces]
            pictures.append(Picture(name, *_embedded(image, budget), boxes))
        advance()
    return pictures, crops


def _decoded(path: Path) -> Iterator[Pixels]:
    try:
        yield frame_of(path.read_bytes())
    except (OSError, MemoriaError):  # failed before, or has changed since: the page does without
        return


def _embedded(image: Pixels, budget: int) -> tuple[str, tuple[int, int]]:
    """A photo as a data URI of at most so many bytes, or of the smallest side; and its size."""
    small = Image.fromarray(image)
    for side in SIDES_PX:
        if 0.75 * side**2 * BYTES_PER_PIXEL > budget and side != SIDES_PX[-1]:
            continue
        small.thumbnail((side, side))
        uri = _uri(small)
        if len(uri) <= budget:
            break
    return uri, small.size


def _crop(image: Pixels, bbox: Mapping[str, float]) -> Image.Image:
    """The square around a face, with a margin, as far as the photo reaches."""
    height, width = image.shape[:2]
    centre_x, centre_y = (bbox["x"] + bbox["w"] / 2) * width, (bbox["y"] + bbox["h"] / 2) * height
    side = max(bbox["w"] * width, bbox["h"] * height) * (1 + 2 * CROP_MARGIN)
    side = min(side, width, height)
    left = min(max(centre_x - side / 2, 0), width - side)
    upper = min(max(centre_y - side / 2, 0), height - side)
    square = (left, upper, left + side, upper + side)
    return Image.fromarray(image).resize((CROP_PX, CROP_PX), Image.Resampling.LANCZOS, box=square)


def _uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
