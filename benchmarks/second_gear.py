"""A photo in OpenVINO's bfloat16 against ONNX Runtime; says so where the CPU has no bfloat16.

python -m benchmarks second_gear              # 1, 3 and 20 faces a photo
"""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import photos
from benchmarks.measures import STEADY, Row, alternated
from benchmarks.server import as_in_the_image
from memoria.faces import Engine, find_faces_in_photo, open_engine
from memoria.packs.inference import hindrance
from memoria.packs.intermediate import FOLDER, write_intermediates


def second_gear(pack: Path) -> list[Row]:
    """One photo's time as a share of what ONNX Runtime takes, from JPEG bytes."""
    if reason := hindrance():
        return [Row(f"second gear: not measured, {reason}", None)]
    image = with_intermediates(pack)
    return measured(open_engine(image), open_engine(image, inference="openvino"))


def with_intermediates(pack: Path) -> Path:
    """The pack as the image's target openvino has it."""
    image = as_in_the_image(pack)
    write_intermediates(pack)  # of the files as published
    shutil.copytree(pack / FOLDER, image / FOLDER, dirs_exist_ok=True)
    return image


def measured(
    first: Engine, second: Engine, *, cases: tuple[int, ...] = (1, 3, 20), rounds: int = 9
) -> list[Row]:
    """The rows for two engines of one pack; tested in float32."""
    rows = []
    for faces in cases:
        data = photos.jpeg(photos.photo(photos.MEGAPIXELS_12, faces))
        found = [len(find_faces_in_photo(engine, data)[0]) for engine in (first, second)]
        if found[0] != found[1]:
            raise RuntimeError(f"ONNX Runtime finds {found[0]} faces, OpenVINO {found[1]}")
        calls: list[Callable[[], object]] = [
            partial(find_faces_in_photo, engine, data) for engine in (first, second)
        ]
        one, two = alternated(calls, rounds, steady=STEADY if rounds > 1 else None)
        detail = f"{1000 * two:.0f} ms against {1000 * one:.0f} ms; {found[0]} faces found"
        rows.append(Row(f"second gear / ONNX Runtime, {faces} faces", two / one, detail=detail))
    return rows
