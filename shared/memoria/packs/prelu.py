"""PReLU in the layout of ONNX Runtime's convolutions, so that nothing is reordered around it.

On x86 ONNX Runtime convolves in blocks of channels (NCHWc) and has no PReLU for them: each one
costs two reorderings and a branch for every value. But PReLU(x) = x + (1 - slope) max(0, -x), and
these are two convolutions of one weight a channel, which stay in the layout. Same answers to
float32's last digits, in less time (docs/decisions/0605-prelu.md). Done once, when an image for
the CPU is built, before ``memoria.packs.external_weights``:

    python -m memoria.packs.prelu FOLDER
"""

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from memoria.arrays import F32

_X86 = {"x86_64", "AMD64"}
_FEATURE_MAPS = {"Conv", "BatchNormalization"}  # what a PReLU of one slope a channel follows


def rewrite_prelus(folder: Path) -> list[Path]:
    """Rewrite the PReLUs of every ``.onnx`` of a folder; idempotent. Returns the files rewritten.

    Does nothing where the CPU has no blocked layout. Needs the ``onnx`` package, and weights that
    lie in the graph still.
    """
    import onnx

    written = []
    for path in sorted(folder.glob("*.onnx")) if platform.machine() in _X86 else []:
        model = onnx.load(path)
        if replace_prelus(model):
            partial = path.with_suffix(".part")
            onnx.save(model, partial)
            partial.chmod(path.stat().st_mode)
            partial.replace(path)
            written.append(path)
    return written


def replace_prelus(model: Any) -> int:
    """Replace, in place, each PReLU of one slope a channel in an ``onnx.ModelProto``; how many."""
    from onnx import numpy_helper

    graph = model.graph
    slopes = {tensor.name: tensor for tensor in graph.initializer}
    maker = {output: node.op_type for node in graph.node for output in node.output}
    nodes, replaced = [], 0
    for node in graph.node:
        if node.op_type == "PRelu" and maker.get(node.input[0]) in _FEATURE_MAPS:
            slope = slopes.get(node.input[1])
            if slope is not None and len(slope.dims) == 3 and slope.dims[0] == np.prod(slope.dims):
                nodes += _as_convolutions(graph, node, numpy_helper.to_array(slope).ravel())
                replaced += 1
                continue
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return replaced


def _as_convolutions(graph: Any, prelu: Any, slope: "F32") -> list[Any]:
    """``prelu`` of (c,) slopes as nodes; their weights go into the graph."""
    from onnx import helper, numpy_helper

    x, y = prelu.input[0], prelu.output[0]
    below, scaled = f"{y}.below", f"{y}.scaled"
    channels = len(slope)

    def per_channel(source: str, weights: "F32", output: str) -> Any:
        name = f"{output}.weights"
        graph.initializer.append(numpy_helper.from_array(weights.reshape(-1, 1, 1, 1), name))
        size: dict[str, Any] = {"group": channels, "kernel_shape": [1, 1]}
        return helper.make_node("Conv", [source, name], [output], output, **size)

    return [
        per_channel(x, np.full(channels, -1, np.float32), f"{y}.negated"),
        helper.make_node("Relu", [f"{y}.negated"], [below], below),
        per_channel(below, (1 - slope).astype(np.float32), scaled),
        helper.make_node("Add", [scaled, x], [y], f"{y}.sum"),
    ]


if __name__ == "__main__":
    for each in rewrite_prelus(Path(sys.argv[1])):
        sys.stdout.write(f"{each.name}: PReLUs made convolutions\n")
