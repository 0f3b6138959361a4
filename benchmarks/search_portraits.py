"""Selfie search end to end: JPEG, detector, HTTP, database, on an event of portraits.

Run it: `python -m benchmarks.search_portraits`; it writes a table of docs/search.md.

One photo of each person with three or more is left out of the event, as the selfie; so are the
photos of people who are seen once, as strangers. The same selfies come dark, mirrored and so on.
"""

import argparse
import io
import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.cluster_page import set_table
from benchmarks.selfie_search import PAGE, interval
from local.demo.event import event_status, upload_event
from local.processes.stack import Stack, StackOptions

DATA = Path(__file__).parents[2] / "shared"
PACK = DATA / "models" / "scrfd2.5g_mobilefacenet"
PORTRAITS = DATA / "events" / "portraits"
WAIT_SECONDS = 1800
AT_ONCE = 2
Json = dict[str, Any]


def jpeg(image: Image.Image, **options: Any) -> bytes:
    """The picture as a file."""
    out = io.BytesIO()
    image.save(out, "JPEG", **({"quality": 95} | options))
    return out.getvalue()


def turned_by_exif(image: Image.Image) -> bytes:
    """Stored on its side; the EXIF orientation says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(image.transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())


def burst(image: Image.Image) -> list[bytes]:
    """Three frames made of one photo: a small turn, a crop, other light, other compression."""
    width, height = image.size
    turned = image.rotate(5, Image.Resampling.BICUBIC)
    crop = (0.04 * width, 0.03 * height, 0.97 * width, 0.96 * height)
    cropped = image.crop(tuple(round(side) for side in crop))  # type: ignore[arg-type]
    lighter = ImageEnhance.Brightness(cropped).enhance(1.2)
    return [jpeg(image), jpeg(turned, quality=80), jpeg(lighter, quality=70)]


Variant = Callable[[Image.Image], list[bytes]]
VARIANTS: dict[str, Variant] = {
    "as it is": lambda image: [jpeg(image)],
    "three frames made of it": burst,
    "dark (light × 0.4)": lambda image: [jpeg(ImageEnhance.Brightness(image).enhance(0.4))],
    "mirrored": lambda image: [jpeg(ImageOps.mirror(image))],
    "turned by EXIF": lambda image: [turned_by_exif(image)],
    "JPEG quality 60": lambda image: [jpeg(image, quality=60)],
    "half size": lambda image: [jpeg(ImageOps.scale(image, 0.5))],
}


@dataclass(frozen=True, slots=True)
class Portraits:
    """Whose each photo is, by name, in three parts."""

    event: dict[str, str]
    selfies: dict[str, str]  # one of each person with three photos or more
    strangers: dict[str, str]  # seen once

    @classmethod
    def read(cls) -> "Portraits":
        """The portraits' labels, divided."""
        labels: dict[str, str] = json.loads((PORTRAITS / "labels.json").read_text())["photos"]
        photos: dict[str, list[str]] = {}
        for name, who in sorted(labels.items()):
            photos.setdefault(who, []).append(name)
        selfies = {names[-1]: who for who, names in photos.items() if len(names) >= 3}
        strangers = {names[0]: who for who, names in photos.items() if len(names) == 1}
        event = {n: w for n, w in labels.items() if n not in selfies and n not in strangers}
        return cls(event, selfies, strangers)


def searched(stack: Stack, token: str, pictures: list[bytes], guest: str) -> Json:
    """The answer to one guest, who points at the middle."""
    answer = httpx.post(
        f"{stack.process_url}/search",
        data={"consent": "1", "guest": guest, "point": "0.5,0.5"},
        files=[("image", picture) for picture in pictures],
        headers={"Authorization": f"Search {token}"},
        timeout=120,
        trust_env=False,
    )
    told: Json = answer.json()
    return told


def all_searched(stack: Stack, token: str, names: dict[str, str], variant: Variant) -> list[Json]:
    """The answers to these photos, each as another guest's selfie."""

    def one(name: str) -> Json:
        pictures = variant(Image.open(PORTRAITS / name).convert("RGB"))
        return searched(stack, token, pictures, str(uuid.uuid4()))

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(one, names))


def shown(answer: Json, names: dict[str, str]) -> set[str]:
    """The names of the photos of an answer; none of a refusal."""
    matches = answer.get("matches", [])
    return {names[photo["media_id"]] for match in matches for photo in match["photos"]}


HEAD = (
    "| selfie | searches | refused | own photos shown (95 %) | shown none "
    "| somebody else's photo shown |\n|---|---|---|---|---|---|"
)


def guests_row(name: str, portraits: Portraits, answers: list[Json], names: dict[str, str]) -> str:
    """How guests fared with one variant of their selfies."""
    who, hits, none, others = [], [], 0, 0
    for number, (person, answer) in enumerate(
        zip(portraits.selfies.values(), answers, strict=True)
    ):
        own = {photo for photo, owner in portraits.event.items() if owner == person}
        seen = shown(answer, names)
        who += [number] * len(own)
        hits += [photo in seen for photo in sorted(own)]
        none += not seen & own
        others += bool(seen - own)
    low, high = interval(who, hits)
    refused = sum("error" in answer for answer in answers)
    return (
        f"| {name} | {len(answers)} | {refused} | {np.mean(hits):.1%} ({low:.1%} to {high:.1%}) "
        f"| {none} | {others} |"
    )


def table(stack: Stack, portraits: Portraits) -> Iterator[str]:
    """The event is made and searched; one line for each variant, and one of strangers."""
    client, event = stack.client(), str(uuid.uuid4())
    photos = {name: PORTRAITS / name for name in portraits.event}
    names = upload_event(client, event, photos, lambda: None)
    deadline = time.monotonic() + WAIT_SECONDS
    while not event_status(client, event)["done"]:
        if time.monotonic() > deadline:
            raise TimeoutError("the event was not done in time")
        time.sleep(1)
    made: Any = client.rpc(
        "memoria_create_search_link", {"p_event_id": event, "p_options": {"max_searches": 100_000}}
    ).execute()
    token = str(made.data["token"])
    yield HEAD
    for name, variant in VARIANTS.items():
        answers = all_searched(stack, token, portraits.selfies, variant)
        yield guests_row(name, portraits, answers, names)
    strangers = all_searched(stack, token, portraits.strangers, VARIANTS["as it is"])
    told = sum(bool(shown(answer, names)) for answer in strangers)
    refused = sum("error" in answer for answer in strangers)
    yield f"| strangers | {len(strangers)} | {refused} | | {len(strangers) - told} | {told} |"


def main() -> None:
    """Print the table and write it into docs/search.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model-dir", type=Path, default=PACK, help="another pack, and write nothing"
    )
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    args = parser.parse_args()
    options = StackOptions(
        environ={"MODEL_DIR": str(args.model_dir), "SEARCH": "on"},
        settings={"quiet_period_seconds": 1, "searches_per_minute": 100_000, "callbacks": False},
        sweep_seconds=1,
    )
    lines = []
    with Stack(options) as stack:
        for line in table(stack, Portraits.read()):
            print(line, flush=True)
            lines.append(line)
    if args.model_dir == PACK and not args.dry_run:
        set_table("portraits", "\n".join(lines), PAGE)


if __name__ == "__main__":
    main()
