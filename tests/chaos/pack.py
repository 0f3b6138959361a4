"""A tiny, real model pack: InsightFace's inputs and outputs, a thousandth of the arithmetic.

The detector scores how green each 32-pixel cell is; the recogniser projects the grey pattern
around a green cell onto 512 dimensions. So which faces there are, and who resembles whom, is in
the photo (tests/chaos/photos.py paints them), as with any real pack.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from memoria.faces.geometry import CROP_LANDMARKS, CROP_PX

CELL_PX = 32  # a marker fills one cell of the coarsest stride
MARGIN_PX = (CROP_PX - CELL_PX) // 2  # of the face around its marker
PATTERN = 14  # a face is a pattern of 14 x 14 grey blocks
BLOCK_PX = CROP_PX // PATTERN

_STRIDES = (8, 16, 32)
_ANCHORS = 2
_GAIN = 8.0


def make_pack(folder: Path) -> Path:
    """Write ``det.onnx`` and ``rec.onnx`` into the folder; its name is the model's."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in (("det.onnx", _detector()), ("rec.onnx", _recogniser())):
        partial = folder / f"{name}.{os.getpid()}"  # another process may be reading, or writing too
        partial.write_bytes(model.SerializeToString())
        partial.replace(folder / name)
    return folder


def _detector() -> onnx.ModelProto:
    """input.1 (1, 3, h, w) RGB -> scores (n, 1), edges (n, 4), landmarks (n, 10) per stride."""
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    outputs: dict[int, list[str]] = {1: [], 4: [], 10: []}
    for stride in _STRIDES:
        pooled = f"cells_{stride}"
        nodes.append(_pool("input.1", pooled, stride))
        for width, (kernel, bias) in _heads(stride).items():
            name = f"out_{width}_{stride}"
            weights += [numpy_helper.from_array(kernel, f"{name}_w")]
            weights += [numpy_helper.from_array(bias, f"{name}_b")]
            weights += [numpy_helper.from_array(np.array([-1, width]), f"{name}_s")]
            nodes += _rows(pooled, name, sigmoid=width == 1)
            outputs[width].append(name)
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, width])
        for width, names in outputs.items()
        for name in names
    ]
    return _model("tiny_detector", nodes, [1, 3, "h", "w"], values, weights)


def _heads(stride: int) -> dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """1 x 1 convolutions over the mean colour of a cell; only the coarsest ever scores."""
    score = np.zeros((_ANCHORS, 3, 1, 1), np.float32)
    if stride == _STRIDES[-1]:
        score[0, :, 0, 0] = _GAIN * np.array([-0.5, 1.0, -0.5])  # green: 2, grey: 0
    edges = np.array([MARGIN_PX, MARGIN_PX, CELL_PX + MARGIN_PX, CELL_PX + MARGIN_PX]) / stride
    points = (CROP_LANDMARKS - MARGIN_PX).ravel() / stride
    return {
        1: (score, np.full(_ANCHORS, -_GAIN, np.float32)),
        4: (_nothing(4), np.tile(edges, _ANCHORS).astype(np.float32)),
        10: (_nothing(10), np.tile(points, _ANCHORS).astype(np.float32)),
    }


def _nothing(width: int) -> NDArray[np.float32]:
    return np.zeros((_ANCHORS * width, 3, 1, 1), np.float32)


def _rows(x: str, name: str, *, sigmoid: bool) -> list[onnx.NodeProto]:
    """Convolution, then (1, anchors x width, h, w) -> (h x w x anchors, width)."""
    flat = f"{name}_flat" if sigmoid else name
    nodes = [
        helper.make_node("Conv", [x, f"{name}_w", f"{name}_b"], [f"{name}_c"]),
        helper.make_node("Transpose", [f"{name}_c"], [f"{name}_t"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", [f"{name}_t", f"{name}_s"], [flat]),
    ]
    return [*nodes, helper.make_node("Sigmoid", [flat], [name])] if sigmoid else nodes


def _recogniser() -> onnx.ModelProto:
    """input.1 (n, 3, 112, 112) RGB -> vector (n, 512)."""
    projection = np.random.default_rng(0).normal(0, 1, (512, 3, PATTERN, PATTERN))
    first, last = MARGIN_PX // BLOCK_PX, (MARGIN_PX + CELL_PX) // BLOCK_PX
    projection[:, :, first:last, first:last] = 0  # the marker is nobody's
    flat = projection.reshape(512, -1).astype(np.float32)
    nodes = [
        _pool("input.1", "blocks", BLOCK_PX),
        helper.make_node("Flatten", ["blocks"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "projection"], ["vector"], transB=1),
    ]
    vector = helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["n", 512])
    weights = [numpy_helper.from_array(flat, "projection")]
    return _model("tiny_recogniser", nodes, ["n", 3, CROP_PX, CROP_PX], [vector], weights)


def _pool(x: str, name: str, side: int) -> onnx.NodeProto:
    sides = [side, side]
    return helper.make_node("AveragePool", [x], [name], kernel_shape=sides, strides=sides)


def _model(
    name: str, nodes: list[Any], shape: list[Any], outputs: list[Any], weights: list[Any]
) -> onnx.ModelProto:
    image = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, name, [image], outputs, weights)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
