"""The models' speed as per cent of what this CPU can do, which is measured in the same minute."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, shape_inference

from benchmarks.measures import STEADY, Row, alternated
from benchmarks.server import as_in_the_image
from memoria.container import cpu_threads
from memoria.faces import open_engine

SIDE = 512  # of the square matrices: all three stay in the cache
REPEATS = 32
MULTIPLICATIONS = REPEATS * SIDE**3
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
    able = MULTIPLICATIONS / gemm
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
    """Products of two square matrices in float32, one after the other, on so many threads.

    ONNX Runtime's own: an environment may hold numpy's OpenBLAS to kernels of half the width
    (OPENBLAS_CORETYPE), and the models reached 161 % of that.
    """

    def __init__(self, threads: int) -> None:
        rng = np.random.default_rng(0)
        right, self.left = (rng.standard_normal((SIDE, SIDE), dtype=np.float32) for _ in range(2))
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIDE, SIDE])
                for name in ("left", "out")]  # fmt: skip
        product = helper.make_node("MatMul", ["left", "right"], ["out"])
        weights = [numpy_helper.from_array(right, "right")]
        graph = helper.make_graph([product], "gemm", ends[:1], ends[1:], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self) -> None:
        for _ in range(REPEATS):
            self.session.run(None, {"left": self.left})


def _gemm_row(threads: int, taken: float) -> Row:
    rate = MULTIPLICATIONS / taken / 1e9
    return Row(f"peak: float32 GEMM, {threads} threads", rate, "GMAC a second")


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
