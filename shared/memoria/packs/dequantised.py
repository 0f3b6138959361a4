"""Block-quantised weights turned back into plain float32, so that one engine runs every pack.

8-bit weights with a scale for each block (``DequantizeLinear`` before each layer) make a file
small, not fast: ONNX Runtime would turn them back before each layer, at every run. Here that is
done once, where the weights are fetched. Nothing is rounded: the float32 weights are the ones that
the graph itself computes. Needs the ``onnx`` package.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32

CROP_PX = 112


def dequantise(source: Path, target: Path) -> None:
    """Write the float32 twin of a block-quantised file, which takes any canvas or any batch.

    Deterministic: the same source gives the same weights. Never leaves half a file. Raises
    ValueError for a file that is no such graph.
    """
    import onnx

    model = onnx.load(source)
    _fold_weights(model.graph)
    _free_sizes(model.graph)
    onnx.checker.check_model(model)
    partial = target.with_name(target.name + ".part")
    try:
        onnx.save(model, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def dequantised(
    values: NDArray[np.integer], scales: F32, zeros: NDArray[np.integer], axis: int, block: int
) -> F32:
    """(value - zero) · scale, where every ``block`` values along the axis share zero and scale."""
    each_scale, each_zero = np.repeat(scales, block, axis), np.repeat(zeros, block, axis)
    if each_scale.shape != values.shape:
        raise ValueError(f"blocks of {block} do not make up weights of shape {values.shape}")
    wide = values.astype(np.int32) - each_zero.astype(np.int32)
    return wide.astype(np.float32) * each_scale


def _fold_weights(graph: Any) -> None:
    """Each ``DequantizeLinear`` of weights, and a ``Reshape`` behind it, becomes a tensor."""
    from onnx import numpy_helper

    nodes, folded = _folded(graph)
    used = {name for node in nodes for name in node.input}
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    tensors += [numpy_helper.from_array(v, name) for name, v in folded.items() if name in used]
    names = {tensor.name for tensor in tensors}
    # some exporters list weights as inputs too: of the inputs only those without a value stay
    inputs = [each for each in graph.input if each.name in used and each.name not in names]
    for field, content in (("node", nodes), ("initializer", tensors), ("input", inputs)):
        graph.ClearField(field)
        getattr(graph, field).extend(content)
    graph.ClearField("value_info")


def _folded(graph: Any) -> tuple[list[Any], dict[str, F32]]:
    """The nodes that stay, and by name the arrays that the others would have computed."""
    from onnx import numpy_helper

    known = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[Any] = []
    folded: dict[str, F32] = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in known:
            at = {attribute.name: attribute.i for attribute in node.attribute}
            values, scales, zeros = (numpy_helper.to_array(known[name]) for name in node.input)
            axis, block = at.get("axis", 1), at.get("block_size", 0)
            folded[node.output[0]] = dequantised(values, scales, zeros, axis, block)
        elif node.op_type == "Reshape" and node.input[0] in folded:
            shape = numpy_helper.to_array(known[node.input[1]])
            folded[node.output[0]] = folded[node.input[0]].reshape(shape)
        else:
            nodes.append(node)
    return nodes, folded


def _free_sizes(graph: Any) -> None:
    """Any canvas for a detector, any batch for a recogniser: no layer of them needs fixed ones."""
    batch, _, height, width = graph.input[0].type.tensor_type.shape.dim
    if height.dim_value == CROP_PX:
        batch.dim_param = "batch"
    else:
        height.dim_param, width.dim_param = "height", "width"
    for output in graph.output:
        first, *others = output.type.tensor_type.shape.dim
        if height.dim_value == CROP_PX:
            first.dim_param = "batch"
        else:
            others[0].dim_param = f"cells of {output.name}"
