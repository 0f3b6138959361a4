import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper

from memoria.packs.external_weights import move_weights_out
from memoria.packs.normalisation import input_mean_and_std
from memoria.packs.prelu import replace_prelus, rewrite_prelus
from memoria.packs.session import open_session
from tests.data import SMALL_PACK, needs

RECOGNISER = "rec_mobilefacenet.onnx"
needs_pack = needs(SMALL_PACK)


GEMM: dict[str, Any] = {"transB": 1}


def network(slopes: np.ndarray, shape: tuple[int, ...], *, dense: bool = False) -> Any:
    """One convolution (or dense layer) of ``slopes.size`` channels and its PReLU."""
    channels = slopes.size
    size = [2, 3] if dense else [2, 3, 5, 4]
    weights = np.random.default_rng(0).normal(size=(channels, 3) if dense else (channels, 3, 1, 1))
    first = "Gemm" if dense else "Conv"
    nodes = [
        helper.make_node(first, ["x", "w"], ["y"], **(GEMM if dense else {})),
        helper.make_node("PRelu", ["y", "slopes"], ["z"]),
    ]
    tensors = [
        numpy_helper.from_array(weights.astype(np.float32), "w"),
        numpy_helper.from_array(slopes.reshape(shape).astype(np.float32), "slopes"),
    ]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, count, *size[2:]])
        for name, count in (("x", 3), ("z", channels))
    ]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], tensors)
    return helper.make_model(graph, ir_version=6, opset_imports=[helper.make_opsetid("", 11)])


def answer(model: Any, path: Path, x: np.ndarray) -> np.ndarray:
    onnx.save(model, path)
    (found,) = open_session(path).run(None, {"x": x})
    return np.asarray(found)


@given(slopes=arrays(np.float32, 18, elements=st.floats(-3, 3, width=32)))
@settings(max_examples=20)
def test_any_slope_gives_the_same_answer(
    tmp_path_factory: pytest.TempPathFactory, slopes: np.ndarray
) -> None:
    path = tmp_path_factory.mktemp("prelu") / "net.onnx"
    model = network(slopes, (18, 1, 1))
    x = np.random.default_rng(1).normal(size=(2, 3, 5, 4)).astype(np.float32)
    expected = answer(model, path, x)
    assert replace_prelus(model) == 1
    onnx.checker.check_model(model)
    np.testing.assert_allclose(answer(model, path, x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("channels", "shape", "dense"), [(1, (1,), False), (6, (6,), True)])
def test_a_prelu_of_another_kind_stays(channels: int, shape: tuple[int, ...], dense: bool) -> None:
    model = network(np.full(channels, 0.25), shape, dense=dense)
    before = model.SerializeToString()
    assert replace_prelus(model) == 0
    assert model.SerializeToString() == before


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    for path in SMALL_PACK.glob("*.onnx"):
        shutil.copyfile(path, tmp_path / path.name)
    return tmp_path


@needs_pack
def test_a_real_recogniser_sees_the_same_faces(pack: Path) -> None:
    x = np.random.default_rng(0).uniform(0, 255, (4, 3, 112, 112)).astype(np.float32)
    (expected,) = open_session(pack / RECOGNISER).run(None, {"data": x})
    before = input_mean_and_std(pack / RECOGNISER)
    assert rewrite_prelus(pack) == [pack / RECOGNISER]
    assert not any(node.op_type == "PRelu" for node in onnx.load(pack / RECOGNISER).graph.node)
    (found,) = open_session(pack / RECOGNISER).run(None, {"data": x})
    cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(cosine, np.linalg.norm(expected, axis=1), rtol=1e-5)
    assert input_mean_and_std(pack / RECOGNISER) == before


@needs_pack
def test_doing_it_twice_changes_nothing_also_once_the_weights_lie_beside(pack: Path) -> None:
    rewrite_prelus(pack)
    move_weights_out(pack)
    before = {path.name: path.read_bytes() for path in pack.iterdir()}
    assert rewrite_prelus(pack) == []
    assert {path.name: path.read_bytes() for path in pack.iterdir()} == before


@needs_pack
def test_other_processors_keep_their_prelu(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert rewrite_prelus(pack) == []
