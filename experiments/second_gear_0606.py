"""What bfloat16 does to vectors and groups, beside what saving a JPEG once more does.

    python -m experiments.second_gear_0606 EVENT      # a folder with labels.json: sitcom, portraits
    python -m experiments.second_gear_0606 parts      # milliseconds of each network's twin

Runs on any CPU: bfloat16 is imitated, by rounding weights and the output of every operator to it. A
CPU that has it rounds less often, since it fuses operators; there the real one is measured as well.
"""

import io
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from benchmarks import twins
from benchmarks.measures import alternated
from benchmarks.quality import SHARED
from memoria.arrays import F32
from memoria.clustering import group_faces
from memoria.faces import Engine, Face, open_engine
from memoria.media import decode_image
from memoria.packs.inference import hindrance
from memoria.packs.openvino_session import open_openvino
from memoria.packs.session import open_session

PERCENTILES = (0, 0.1, 1, 5, 50)
SAME_PLACE = 0.5  # intersection over union of one face's two boxes


def imitated(path: Path, made: Path) -> None:
    """The network with weights and every operator's output rounded to bfloat16."""
    model = onnx.load(path)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    kept = {output.name for output in model.graph.output}
    nodes: list[onnx.NodeProto] = []
    new_name: dict[str, str] = {}
    for node in model.graph.node:
        node.input[:] = [new_name.get(name, name) for name in node.input]
        nodes.append(node)
        if node.op_type in ("Conv", "Gemm"):
            tensor = weights[node.input[1]]
            rounded = rounded_to_bfloat16(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
        if node.op_type in ("Conv", "Gemm", "BatchNormalization", "PRelu", "Relu", "Add", "Mul"):
            for name in [name for name in node.output if name not in kept]:
                low, new_name[name] = f"{name}.low", f"{name}.rounded"
                nodes.append(helper.make_node("Cast", [name], [low], to=TensorProto.BFLOAT16))
                back = helper.make_node("Cast", [low], [new_name[name]], to=TensorProto.FLOAT)
                nodes.append(back)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.opset_import[0].version = max(13, model.opset_import[0].version)
    onnx.save(model, made)


def rounded_to_bfloat16(values: F32) -> F32:
    """To the nearest number of eight bits, ties to even."""
    bits = values.astype(np.float32).view(np.uint32)
    bits = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (bits & np.uint32(0xFFFF0000)).view(np.float32)


def saved_again(data: bytes, quality: int = 92) -> bytes:
    file = io.BytesIO()
    Image.fromarray(decode_image(data)).save(file, "JPEG", quality=quality)
    return file.getvalue()


def overlap(one: F32, other: F32) -> float:
    """Intersection over union of two boxes (x, y, w, h)."""
    corner = np.maximum(one[:2], other[:2])
    sides = np.maximum(np.minimum(one[:2] + one[2:], other[:2] + other[2:]) - corner, 0)
    both = float(np.prod(sides))
    return both / (float(np.prod(one[2:])) + float(np.prod(other[2:])) - both)


def matched(faces: list[Face], others: list[Face]) -> list[Face | None]:
    """Of each face the same one among the others."""
    found = []
    for face in faces:
        best = max(others, key=lambda other: overlap(face.box, other.box), default=None)
        same = best is not None and overlap(face.box, best.box) >= SAME_PLACE
        found.append(best if same else None)
    return found


def groups(faces: list[Face], photos: list[str], model: str) -> set[frozenset[int]]:
    """People, as the numbers of their faces."""
    labels = group_faces(
        np.stack([face.embedding for face in faces]).astype(np.float32),
        quality=np.array([face.quality for face in faces], np.float32),
        photo_ids=photos,
        model=model,
    )
    every = range(len(labels))
    return {frozenset(i for i in every if labels[i] == label) for label in set(labels) - {-1}}


def told(name: str, event: list[bytes], engine: Engine, variant: Callable[[bytes], list[Face]],
         known: list[list[Face]]) -> None:  # fmt: skip
    """How far the variant's vectors and groups are from the known ones'."""
    one, two, photos, lost, more = [], [], [], 0, 0
    for number, (data, faces) in enumerate(zip(event, known, strict=True)):
        others = variant(data)
        pairs = [(a, b) for a, b in zip(faces, matched(faces, others), strict=True) if b]
        lost, more = lost + len(faces) - len(pairs), more + len(others) - len(pairs)
        one += [a for a, _ in pairs]
        two += [b for _, b in pairs]
        photos += [str(number)] * len(pairs)
    cosines = [float(a.embedding @ b.embedding) for a, b in zip(one, two, strict=True)]
    row = ", ".join(f"{p:g} %: {np.percentile(cosines, p):.5f}" for p in PERCENTILES)
    changed = groups(one, photos, engine.model) ^ groups(two, photos, engine.model)
    moved = len({face for group in changed for face in group})
    print(f"{name}: {len(one)} faces, {lost} lost, {more} more; cosine at {row}; "
          f"{sum(c < 0.995 for c in cosines)} under 0.995; {moved} faces in groups that differ",
          flush=True)  # fmt: skip


def main(event: Path) -> None:
    names = json.loads((event / "labels.json").read_text())["photos"]
    photos = [(event / name).read_bytes() for name in names]
    source = SHARED / "models/scrfd2.5g_mobilefacenet"
    engine = open_engine(source)
    with tempfile.TemporaryDirectory() as folder:
        pack = Path(folder) / source.name
        pack.mkdir()
        for path in source.glob("*.onnx"):
            imitated(path, pack / path.name)
        low = open_engine(pack)
    known = [engine.find_faces(decode_image(data)) for data in photos]
    half = replace(engine, recogniser=low.recogniser)
    told("saved again", photos, engine,
         lambda data: engine.find_faces(decode_image(saved_again(data))), known)  # fmt: skip
    told("recogniser in bfloat16", photos, engine,
         lambda data: half.find_faces(decode_image(data)), known)  # fmt: skip
    told("both in bfloat16", photos, engine,
         lambda data: low.find_faces(decode_image(data)), known)  # fmt: skip
    if not hindrance():
        real = open_engine(source, inference="openvino")
        recogniser = replace(engine, recogniser=real.recogniser)
        told("recogniser in OpenVINO", photos, engine,
             lambda data: recogniser.find_faces(decode_image(data)), known)  # fmt: skip
        told("both in OpenVINO", photos, engine,
             lambda data: real.find_faces(decode_image(data)), known)  # fmt: skip


def parts() -> None:
    """Each network of buffalo_l's twin alone, two threads."""
    with tempfile.TemporaryDirectory() as folder:
        pack = twins.make(Path(folder) / "buffalo_l")
        for name, size in (("det_10g", (480, 640)), ("w600k_r50", (112, 112))):
            path = pack / f"{name}.onnx"
            sessions: list[Any] = [open_session(path, threads=2)]
            sessions += [open_openvino(path, threads=2, precision=how) for how in ("f32", "bf16")]
            blob = np.random.default_rng(0).standard_normal((1, 3, *size)).astype(np.float32)
            inputs = {sessions[0].get_inputs()[0].name: blob}
            calls: list[Callable[[], object]] = [
                partial(session.run, None, inputs) for session in sessions
            ]
            times = [f"{1000 * taken:.0f} ms" for taken in alternated(calls, 15)]
            print(f"{name}: {times[0]} in ONNX Runtime; OpenVINO {times[1]} in float32, "
                  f"{times[2]} in bfloat16", flush=True)  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1] == "parts":
        parts()
    else:
        main(SHARED / "events" / sys.argv[1])
