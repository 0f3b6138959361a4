import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from memoria.packs import session
from memoria.packs.session import gpu_available, open_session


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """One convolution: (1, 3, h, w) -> (1, 8, h, w)."""
    kernel = np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "k"], ["y"], pads=[1, 1, 1, 1])
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, "h", "w"])],
        [numpy_helper.from_array(kernel, "k")],
    )
    path = tmp_path / "one.onnx"
    onnx.save(
        helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]), path
    )
    return path


def test_a_session_has_as_many_threads_as_the_quota_allows(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "cpu_threads", lambda: 3)
    options = open_session(model).get_session_options()
    assert options.intra_op_num_threads == 3
    assert options.inter_op_num_threads == 1


def test_the_caller_may_choose_the_threads(model: Path) -> None:
    assert open_session(model, threads=1).get_session_options().intra_op_num_threads == 1


def test_threads_do_not_spin_while_they_wait(model: Path) -> None:
    options = open_session(model).get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_sessions_share_one_arena(model: Path) -> None:
    for opened in (open_session(model), open_session(model)):
        options = opened.get_session_options()
        assert options.get_session_config_entry("session.use_env_allocators") == "1"


def test_the_answer_does_not_depend_on_how_the_session_was_opened(model: Path) -> None:
    import onnxruntime

    plain = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).normal(size=(1, 3, 64, 96)).astype(np.float32)
    (expected,) = plain.run(None, {"x": x})
    (found,) = open_session(model).run(None, {"x": x})
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.skipif(gpu_available(), reason="there is a GPU here")
def test_without_a_gpu_the_cpu_serves_and_a_warning_says_so(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        opened = open_session(model, use_gpu=True)
    assert opened.get_providers() == ["CPUExecutionProvider"]
    assert "no GPU answers" in caplog.text
    (found,) = opened.run(None, {"x": np.zeros((1, 3, 8, 8), np.float32)})
    assert found.shape == (1, 8, 8, 8)


def test_asking_for_the_cpu_warns_of_nothing(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    open_session(model)
    assert not caplog.records


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    with pytest.raises(Exception, match="broken"):
        open_session(tmp_path / "broken.onnx")
