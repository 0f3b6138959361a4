"""bfloat16 through OpenVINO against ONNX Runtime's fp32: speed on the twin, cosine on real faces.

    pip install openvino
    python -m experiments.bfloat16_0603

OpenVINO is no dependency of the project: docs/decisions/0603-int8.md.
"""

import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import twins
from benchmarks.measures import alternated
from benchmarks.quality import SHARED
from memoria.arrays import F32
from memoria.container import cpu_threads
from memoria.faces import open_engine
from memoria.faces.crops import aligned_crop
from memoria.faces.engine import Engine
from memoria.faces.geometry import crop_transforms
from memoria.media import decode_image
from memoria.packs.folder import locate
from memoria.packs.session import open_session

Network = Callable[[F32], F32]  # (1, 3, 112, 112) -> (1, 512)


def in_openvino(model: Path, precision: str) -> Network:
    """The model compiled by OpenVINO; ``bf16`` is a hint that a CPU without it cannot take."""
    openvino: Any = importlib.import_module("openvino")
    core = openvino.Core()
    network = core.read_model(model)
    network.reshape([1, 3, 112, 112])
    options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": cpu_threads()}
    request = core.compile_model(network, "CPU", options).create_infer_request()
    return lambda blob: next(iter(request.infer([blob]).values())).copy()


def in_onnxruntime(model: Path) -> Network:
    session = open_session(model)
    name = session.get_inputs()[0].name
    return lambda blob: session.run(None, {name: blob})[0]


def blobs(engine: Engine, folder: Path, mean: float, std: float) -> list[F32]:
    """The best face of every photo as the recogniser's input."""
    made = []
    for path in sorted(folder.glob("*.jpg")):
        image = decode_image(path.read_bytes())
        found = engine.detect(image)
        crops: list[NDArray[Any]] = [
            aligned_crop(image, transform) for transform in crop_transforms(found.landmarks)[:1]
        ]
        made += [((c.transpose(2, 0, 1)[None] - mean) / std).astype(np.float32) for c in crops]
    return made


def cosine(one: F32, other: F32) -> float:
    return float((one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other))


def main() -> None:
    """Milliseconds a face of each, then how far bfloat16's vectors are from fp32's."""
    with tempfile.TemporaryDirectory() as folder:
        twin = twins.make(Path(folder)) / "w600k_r50.onnx"
        blob = np.random.default_rng(0).uniform(-1, 1, (1, 3, 112, 112)).astype(np.float32)
        networks = [in_onnxruntime(twin), in_openvino(twin, "f32"), in_openvino(twin, "bf16")]
        times = alternated([lambda run=run: run(blob) for run in networks], 30)  # type: ignore[misc]
    for name, taken in zip(("ONNX Runtime", "OpenVINO", "OpenVINO bf16"), times, strict=True):
        print(f"{name}: {1000 * taken:.0f} ms a face, {taken / times[0]:.2f} of the first")
    pack = SHARED / "models/scrfd2.5g_mobilefacenet"
    real = locate(pack, pack.name).recogniser
    exact, rounded = in_onnxruntime(real), in_openvino(real, "bf16")
    faces = blobs(open_engine(pack), SHARED / "events/portraits", 0.0, 1.0)
    cosines = [cosine(exact(face), rounded(face)) for face in faces]
    print(
        f"{len(cosines)} real faces: cosine {np.median(cosines):.5f}, at worst {min(cosines):.5f}"
    )


if __name__ == "__main__":
    main()
