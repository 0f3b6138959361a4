"""The models' speed as per cent of what this CPU can do, which is measured in the same minute."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import shape_inference
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.measures import STEADY, Row, alternated
from benchmarks.server import as_in_the_image
from memoria.container import cpu_threads
from memoria.faces import open_engine

SIDE = 2048  # of the square matrices: large enough for BLAS to reach what the CPU can do
ROUNDS = 15
DETECTOR, CROP = (480, 640), (112, 112)


def peak(pack: Path) -> list[Row]:
    """One float32 GEMM per number of threads, and both models in turns with the last one."""
    most, rows = cpu_threads(), []
    for threads in range(1, most):
        (taken,) = alternated([Gemm(threads)], ROUNDS, steady=STEADY)
        rows.append(_gemm_row(threads, taken))
    engine = open_engine(as_in_the_image(pack))
    detector, recogniser = engine.search.detector._session, engine.recogniser._session  # noqa: SLF001
    calls = [Gemm(most), _forward(recogniser, CROP), _forward(detector, DETECTOR)]
    gemm, face, photo = alternated(calls, ROUNDS, steady=STEADY)
    rows.append(_gemm_row(most, gemm))
    able = SIDE**3 / gemm
    for what, file, shape, taken, limit in (
        ("recogniser, one face", "w600k_r50.onnx", CROP, face, 70),
        ("detector, 480 × 640", "det_10g.onnx", DETECTOR, photo, 60),
    ):
        macs = multiplications(onnx.load(pack / file), *shape)
        detail = f"{taken * 1000:.1f} ms; {macs / taken / 1e9:.0f} GMAC a second, {most} threads"
        share = 100 * macs / taken / able
        rows.append(Row(f"{what}, of the peak", share, "%", limit, at_most=False, detail=detail))
    return rows


class Gemm:
    """One product of two square matrices in float32, on so many threads."""

    def __init__(self, threads: int) -> None:
        rng = np.random.default_rng(0)
        self.threads = threads
        self.left, self.right, self.out = (
            rng.standard_normal((SIDE, SIDE), dtype=np.float32) for _ in range(3)
        )

    def __call__(self) -> None:
        with threadpool_limits(self.threads, user_api="blas"):
            np.matmul(self.left, self.right, out=self.out)


def _gemm_row(threads: int, taken: float) -> Row:
    return Row(f"peak: float32 GEMM, {threads} threads", SIDE**3 / taken / 1e9, "GMAC a second")


def _forward(session: Any, shape: tuple[int, int]) -> Any:
    name = session.get_inputs()[0].name
    blob = np.random.default_rng(0).standard_normal((1, 3, *shape), dtype=np.float32)
    return lambda: session.run(None, {name: blob})


def multiplications(model: onnx.ModelProto, height: int, width: int) -> float:
    """Multiply-accumulates of the convolutions and the fully connected layer, for one image."""
    dims = model.graph.input[0].type.tensor_type.shape.dim
    for dim, value in zip(dims, (1, 3, height, width), strict=True):
        dim.dim_value = value
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in [*inferred.value_info, *inferred.output]
    }
    weights = {w.name: list(w.dims) for w in inferred.initializer}
    total = 0.0
    for node in inferred.node:
        if node.op_type == "Conv":
            total += float(np.prod(weights[node.input[1]]) * np.prod(shapes[node.output[0]][2:]))
        elif node.op_type == "Gemm":
            total += float(np.prod(weights[node.input[1]]))
    return total
