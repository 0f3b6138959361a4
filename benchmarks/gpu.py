"""Photos a second on a GPU, and where the time goes; says so and measures nothing without one.

python -m benchmarks gpu              # 1, 3 and 20 faces a photo
"""

import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import photos
from benchmarks.measures import Row, seconds
from memoria.faces import Engine, find_faces_in_photo, open_engine
from memoria.faces.crops import aligned_crop
from memoria.faces.geometry import crop_transforms
from memoria.media import open_photo
from memoria.packs.session import gpu_available

PHOTOS = 200


def gpu(pack: Path) -> list[Row]:
    """Stage split of one photo, and throughput with decoding on every core."""
    if not gpu_available():
        return [Row("GPU: not measured, there is none here", None)]
    rows = measured(open_engine(pack, use_gpu=True), PHOTOS)
    return [replace(row, detail=f"{row.detail} on {_device()}") for row in rows]


def _device() -> str:
    """What the driver calls the first GPU."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return "an unnamed GPU"
    told = subprocess.run(
        [command, "--query-gpu=name", "--format=csv,noheader"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return told.stdout.partition("\n")[0]


def measured(
    engine: Engine, count: int, *, cases: tuple[int, ...] = (1, 3, 20), rounds: int = 5
) -> list[Row]:
    """The rows for an engine and so many faces a photo; tested on CPU."""
    rows = []
    for faces in cases:
        limit = 150.0 if faces == 3 else None
        data = photos.jpeg(photos.photo(photos.MEGAPIXELS_12, faces))
        stages = split(engine, data, rounds)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            taken = seconds(
                lambda pool=pool, data=data: list(  # type: ignore[misc]
                    pool.map(lambda _: find_faces_in_photo(engine, data), range(count))
                )
            )
        detail = ", ".join(f"{name} {1000 * value:.1f} ms" for name, value in stages.items())
        rows.append(Row(f"GPU: photos a second, {faces} faces", count / taken, "a second",
                        limit, at_most=False, detail=detail))  # fmt: skip
    return rows


def split(engine: Engine, data: bytes, rounds: int = 5) -> dict[str, float]:
    """Median seconds of decode, detect, align and embed for one photo, warm."""
    times = [_stages(engine, data) for _ in range(rounds + 2)][2:]
    return {name: float(np.median([each[name] for each in times])) for name in times[0]}


def _stages(engine: Engine, data: bytes) -> dict[str, float]:
    marks = [time.perf_counter()]

    def mark(value: Any) -> Any:
        marks.append(time.perf_counter())
        return value

    photo = open_photo(data)
    frame = mark(photo.frame(engine.frame_side(*photo.size)))
    found = mark(engine.detect(frame))
    crops = mark([aligned_crop(frame, each) for each in crop_transforms(found.landmarks)])
    mark(engine.described(found, crops, (frame.shape[1], frame.shape[0])))
    return dict(zip(("decode", "detect", "align", "embed"), np.diff(marks), strict=True))
