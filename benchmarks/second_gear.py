"""OpenVINO's bfloat16 against ONNX Runtime and FaceAnalysis; says so where the CPU has no bfloat16.

python -m benchmarks second_gear              # 1, 3 and 20 faces a photo; waking
"""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import photos
from benchmarks.measures import STEADY, Row, alternated
from benchmarks.server import PLAIN, as_in_the_image
from benchmarks.speed import face_analysis, find_as_insightface
from benchmarks.waking import PROCESS, starts
from memoria.faces import Engine, find_faces_in_photo, open_engine
from memoria.packs.inference import hindrance
from memoria.packs.intermediate import FOLDER, write_intermediates


def second_gear(pack: Path) -> list[Row]:
    """One photo's time as a share of what ONNX Runtime takes, from JPEG bytes."""
    if reason := hindrance():
        return [Row(f"second gear: not measured, {reason}", None)]
    image = with_intermediates(pack)
    reference = face_analysis(pack)
    rows = measured(open_engine(image), open_engine(image, inference="openvino"), reference)
    return rows + waking(pack, image)


def with_intermediates(pack: Path) -> Path:
    """The pack as the image's target openvino has it."""
    image = as_in_the_image(pack)
    write_intermediates(pack)  # of the files as published
    shutil.copytree(pack / FOLDER, image / FOLDER, dirs_exist_ok=True)
    return image


def measured(
    first: Engine,
    second: Engine,
    reference: Any,
    *,
    cases: tuple[int, ...] = (1, 3, 20),
    rounds: int = 18,
) -> list[Row]:
    """The rows for two engines of one pack and insightface's; tested in float32."""
    rows = []
    for faces in cases:
        data = photos.jpeg(photos.photo(photos.MEGAPIXELS_12, faces))
        found = [len(find_faces_in_photo(engine, data)[0]) for engine in (first, second)]
        if found[0] != found[1]:
            raise RuntimeError(f"ONNX Runtime finds {found[0]} faces, OpenVINO {found[1]}")
        calls: list[Callable[[], object]] = [
            partial(find_faces_in_photo, engine, data) for engine in (first, second)
        ]
        calls.append(partial(find_as_insightface, reference, data))
        one, two, peer = alternated(calls, rounds, steady=STEADY if rounds > 1 else None)
        detail = f"{1000 * two:.0f} ms against {1000 * one:.0f} ms; {found[0]} faces found"
        rows += [
            Row(f"second gear / ONNX Runtime, {faces} faces", two / one, detail=detail),
            Row(f"second gear: photos a second / FaceAnalysis from JPEG bytes, {faces} faces",
                peer / two, limit=2.2, at_most=False,
                detail=f"{1 / two:.2f} a second against {1 / peer:.2f}"),
        ]  # fmt: skip
    return rows


def waking(pack: Path, image: Path, rounds: int = 6) -> list[Row]:
    """From exec to /ready with OpenVINO, with ONNX Runtime, and of a plain function."""
    first_gear = {"MODEL_DIR": str(image)}
    second, first, plain = starts(
        [
            (PROCESS, first_gear | {"INFERENCE": "openvino"}),
            (PROCESS, first_gear),
            (PLAIN, {"MODEL_DIR": str(pack)}),
        ],
        rounds,
    )
    return [
        Row("second gear: exec to /ready / a plain function that builds FaceAnalysis",
            second[0] / plain[0], limit=0.8,
            detail=f"{second[0]:.2f} s against {plain[0]:.2f} s; ONNX Runtime {first[0]:.2f} s"),
        Row("second gear: memory after start, process", second[2], "MB",
            detail=f"ONNX Runtime: {first[2]:.0f} MB"),
    ]  # fmt: skip
