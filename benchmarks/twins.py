"""Twins of buffalo_l's two models: the same architecture, inputs and outputs, random weights.

They cost what the real ones cost, in arithmetic and in memory, and can be made anywhere. The
architectures are those of InsightFace's ``scrfd_10g_bnkps.py`` (Guo et al., arXiv:2105.04714) and
``iresnet50`` (Deng et al., arXiv:1801.07698), batch normalisation folded as in the published files.

A random detector would find nothing or everything. In this one a single channel is wired through
the whole network: it carries "how magenta is it here" from the input to the score of the
stride-16 anchors. It finds the magenta squares that ``benchmarks.photos`` paints, and nothing
else; the arithmetic of every layer stays as it was.

    python -m benchmarks.twins DEST
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

F32 = NDArray[np.float32]
Values = list[onnx.ValueInfoProto]

# Where a 112 x 112 aligned face has its five landmarks (insightface, utils/face_align.py).
LANDMARKS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]], dtype=np.float32,
)  # fmt: skip
WIRE = 0  # the channel that carries the marker
SQUARE_PX = 64  # the side of a marker, in pixels of the detector's input
SCORE_GAIN, SCORE_THRESHOLD = 12.0, 0.55  # score = sigmoid(gain x (wire - threshold)); wire 0..0.9


@dataclass
class Graph:
    """Nodes and weights under construction; every method returns the name of its output."""

    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, value: NDArray[np.generic]) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def node(self, op: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        name = output or f"x{len(self.nodes)}"
        label = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=label, **attributes))
        return name

    def draw(self, outputs: int, inputs: int, size: int, gain: float = 1.0) -> F32:
        """Kernel (outputs, inputs, size, size) after He: activations neither fade nor grow."""
        std = gain * np.sqrt(2.0 / (inputs * size * size))
        return self.rng.normal(0, std, (outputs, inputs, size, size)).astype(np.float32)

    def conv(self, x: str, kernel: F32, bias: F32 | None = None, stride: int = 1) -> str:
        outputs, _, size, _ = kernel.shape
        bias = np.zeros(outputs, np.float32) if bias is None else bias
        inputs = [x, self.constant(kernel), self.constant(bias)]
        pads = [size // 2] * 4
        return self.node(
            "Conv", inputs, kernel_shape=[size, size], pads=pads, strides=[stride] * 2, group=1,
            dilations=[1, 1],
        )  # fmt: skip

    def relu(self, x: str) -> str:
        return self.node("Relu", [x])

    def model(self, name: str, inputs: Values, outputs: Values) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.weights)
        opset = [helper.make_opsetid("", 11)]
        return helper.make_model(
            graph, producer_name="memoria-twin", ir_version=6, opset_imports=opset
        )


def wired(kernel: F32, passes: float = 1.0) -> F32:
    """The kernel, its wire output reading the wire input alone (0: nothing)."""
    kernel[WIRE] = 0
    middle = kernel.shape[2] // 2
    kernel[WIRE, WIRE, middle, middle] = passes
    return kernel


def blurred(kernel: F32) -> F32:
    """The kernel, its wire output the mean of the wire's neighbourhood: a square gets one peak."""
    kernel[WIRE] = 0
    kernel[WIRE, WIRE] = 1 / kernel[WIRE, WIRE].size
    return kernel


def scrfd_10g(seed: int = 0) -> onnx.ModelProto:
    """det_10g's twin. input.1 (1, 3, h, w), multiples of 32 -> nine outputs, see the real one."""
    g = Graph(np.random.default_rng(seed))
    features = _backbone(g, "input.1")
    outputs: dict[int, list[str]] = {}
    names = iter([["448", "451", "454"], ["471", "474", "477"], ["494", "497", "500"]])
    for stride, x in zip((8, 16, 32), _neck(g, features), strict=True):
        outputs[stride] = _head(g, x, stride, next(names))
    image = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 3, "?", "?"])
    values = [
        helper.make_tensor_value_info(outputs[stride][kind], TensorProto.FLOAT, [None, width])
        for kind, width in enumerate((1, 4, 10))
        for stride in (8, 16, 32)
    ]
    return g.model("scrfd_10g_bnkps", [image], values)


def _backbone(g: Graph, x: str) -> list[str]:
    """ResNetV1e, basic blocks (3, 4, 2, 3) of (56, 88, 88, 224) channels -> strides 8, 16, 32."""
    magenta = wired(g.draw(28, 3, 3), 0.0)
    magenta[WIRE, :, 1, 1] = (0.5, -1.0, 0.5)  # red, green, blue in -1..1
    bias = np.zeros(28, np.float32)
    bias[WIRE] = -0.8
    x = g.relu(g.conv(x, magenta, bias, stride=2))
    x = g.relu(g.conv(x, wired(g.draw(28, 28, 3))))
    x = g.relu(g.conv(x, wired(g.draw(56, 28, 3))))
    x = g.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4, ceil_mode=0)
    features, width = [], 56
    for stage, (blocks, planes) in enumerate(zip((3, 4, 2, 3), (56, 88, 88, 224), strict=True)):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            x = _basic_block(g, x, width, planes, stride)
            width = planes
        features.append(x)
    return features[1:]


def _basic_block(g: Graph, x: str, inputs: int, outputs: int, stride: int) -> str:
    """Two 3 x 3 convolutions beside the identity, which alone carries the wire."""
    y = g.relu(g.conv(x, g.draw(outputs, inputs, 3), stride=stride))
    y = g.conv(y, wired(g.draw(outputs, outputs, 3, 0.3), 0.0))
    if stride > 1:
        x = g.node(
            "AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4, ceil_mode=1
        )
    if inputs != outputs or stride > 1:
        x = g.conv(x, wired(g.draw(outputs, inputs, 1)))
    return g.relu(g.node("Add", [y, x]))


def _neck(g: Graph, features: list[str]) -> list[str]:
    """PAFPN with 56 channels; the wire enters at stride 16 only."""
    small = 0.3
    laterals = [
        g.conv(x, wired(g.draw(56, width, 1, small), passes))
        for x, width, passes in zip(features, (88, 88, 224), (0.0, 1.0, 0.0), strict=True)
    ]
    region = g.constant(np.zeros(0, np.float32))
    scales = g.constant(np.array([1, 1, 2, 2], np.float32))
    for level in (1, 0):
        up = g.node("Resize", [laterals[level + 1], region, scales], mode="nearest",
                    coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip
        laterals[level] = g.node("Add", [laterals[level], up])
    inner = [g.conv(x, wired(g.draw(56, 56, 3, small))) for x in laterals]
    for level in (0, 1):
        down = g.conv(inner[level], wired(g.draw(56, 56, 3, small), 0.0), stride=2)
        inner[level + 1] = g.node("Add", [inner[level + 1], down])
    return [inner[0], *(g.conv(x, wired(g.draw(56, 56, 3, small))) for x in inner[1:])]


def _head(g: Graph, x: str, stride: int, names: list[str]) -> list[str]:
    """Three shared convolutions of 80 channels, then scores, boxes and landmarks of two anchors."""
    for inputs, spread in ((56, wired), (80, wired), (80, blurred)):
        x = g.relu(g.conv(x, spread(g.draw(80, inputs, 3))))
    score_kernel = g.draw(2, 80, 3, 1e-3)
    if stride == 16:  # of the two anchors the first sees the marker
        score_kernel[0, WIRE] = SCORE_GAIN / 9
    scores = g.conv(x, score_kernel, np.full(2, -SCORE_GAIN * SCORE_THRESHOLD, np.float32))
    half = 0.9 * SQUARE_PX / stride
    box_bias = np.full(8, half, np.float32)
    boxes = g.conv(x, g.draw(8, 80, 3, 1e-2), box_bias)
    boxes = g.node("Mul", [boxes, g.constant(np.array(1, np.float32))])
    offsets = np.tile(((LANDMARKS - 56) / 56 * half).ravel(), 2).astype(np.float32)
    landmarks = g.conv(x, g.draw(20, 80, 3, 1e-2), offsets)
    flat = [
        _rows(g, scores, 1, "x" + names[0]),
        _rows(g, boxes, 4, names[1]),
        _rows(g, landmarks, 10, names[2]),
    ]
    return [g.node("Sigmoid", flat[:1], names[0]), *flat[1:]]


def _rows(g: Graph, x: str, width: int, name: str) -> str:
    """(1, anchors x width, h, w) -> (h x w x anchors, width), as in the published file."""
    x = g.node("Transpose", [x], perm=[2, 3, 0, 1])
    return g.node("Reshape", [x, g.constant(np.array([-1, width], np.int64))], name)


def iresnet_50(seed: int = 1) -> onnx.ModelProto:
    """w600k_r50's twin. input.1 (n, 3, 112, 112) -> 683 (n, 512)."""
    g = Graph(np.random.default_rng(seed))
    x = _prelu(g, g.conv("input.1", g.draw(64, 3, 3)), 64)
    width = 64
    for blocks, planes in zip((3, 4, 14, 3), (64, 128, 256, 512), strict=True):
        for block in range(blocks):
            x = _improved_block(g, x, width, planes, 1 if block else 2)
            width = planes
    x = g.node("Flatten", [_norm(g, x, 512)], axis=1)
    full = g.rng.normal(0, 1 / np.sqrt(512 * 49), (512, 512 * 49)).astype(np.float32)
    zeros = np.zeros(512, np.float32)
    x = g.node("Gemm", [x, g.constant(full), g.constant(zeros)], alpha=1.0, beta=1.0, transB=1)
    _norm(g, x, 512, "683")
    image = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, ["None", 3, 112, 112])
    vector = helper.make_tensor_value_info("683", TensorProto.FLOAT, ["None", 512])
    return g.model("iresnet50", [image], [vector])


def _improved_block(g: Graph, x: str, inputs: int, outputs: int, stride: int) -> str:
    """Norm, convolution, PReLU, convolution; the stride sits on the second one."""
    y = _prelu(g, g.conv(_norm(g, x, inputs), g.draw(outputs, inputs, 3)), outputs)
    y = g.conv(y, g.draw(outputs, outputs, 3, 0.3), stride=stride)
    if stride > 1:
        x = g.conv(x, g.draw(outputs, inputs, 1, 0.7), stride=stride)
    return g.node("Add", [y, x])


def _norm(g: Graph, x: str, width: int, name: str = "") -> str:
    one, zero = np.ones(width, np.float32), np.zeros(width, np.float32)
    inputs = [x, *(g.constant(value) for value in (one, zero, zero, one))]
    return g.node("BatchNormalization", inputs, name, epsilon=1e-5)


def _prelu(g: Graph, x: str, width: int) -> str:
    return g.node("PRelu", [x, g.constant(np.full((width, 1, 1), 0.25, np.float32))])


def make(folder: Path) -> Path:
    """Write both twins under buffalo_l's file names, unless they are there; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in (("det_10g.onnx", scrfd_10g), ("w600k_r50.onnx", iresnet_50)):
        if not (folder / name).exists():
            onnx.save(build(), folder / f"{name}.part")
            (folder / f"{name}.part").replace(folder / name)
    return folder


def told(pack: Path) -> str:
    """What a pack is called: twins name their maker in the first bytes."""
    with (pack / "w600k_r50.onnx").open("rb") as file:
        return "twins of buffalo_l" if b"memoria-twin" in file.read(64) else "buffalo_l"


if __name__ == "__main__":
    make(Path(sys.argv[1]))
