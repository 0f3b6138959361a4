from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from memoria.packs.catalogue import PACKS
from memoria.packs.dequantised import dequantise, dequantised

PACK = PACKS["yunet_sface1_int8"]


def test_blocks_share_a_scale_and_a_zero() -> None:
    values = np.array([[1, 2, 3, 4], [-128, 127, 0, 5]], np.int8)
    scales = np.array([[1, 10], [0.5, 2]], np.float32)
    zeros = np.array([[0, 1], [-128, 5]], np.int8)
    expected = [[1, 2, 20, 30], [0, 127.5, -10, 0]]
    np.testing.assert_array_equal(dequantised(values, scales, zeros, 1, 2), expected)


def test_blocks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="blocks of 3"):
        dequantised(
            np.zeros((1, 4), np.int8), np.ones((1, 2), np.float32), np.zeros((1, 2), np.int8), 1, 3
        )


@pytest.mark.parametrize("network", PACK.networks, ids=["detector", "recogniser"])
def test_the_float_twin_computes_what_the_published_file_computes(
    offline_pack: Path, network, tmp_path: Path
) -> None:
    """OpenCV runs the 8-bit file, the twin runs beside it."""
    crop = np.random.default_rng(1).integers(0, 255, (1, 3, 112, 112)).astype(np.float32)
    theirs = cv2.dnn.readNetFromONNX(str(offline_pack / network.source))
    size = 640 if network is PACK.detector else 112
    blob = cv2.resize(crop[0].transpose(1, 2, 0), (size, size)).transpose(2, 0, 1)[None]
    theirs.setInput(blob)
    names = [o.name for o in onnx.load(offline_pack / network.file).graph.output]
    expected = theirs.forward(names)
    from memoria.packs.session import open_session

    session = open_session(offline_pack / network.file, threads=1)
    found = session.run(names, {session.get_inputs()[0].name: np.ascontiguousarray(blob)})
    for ours, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.reshape(other.shape), other, rtol=1e-3, atol=1e-4)


def test_the_same_source_gives_the_same_bytes(offline_pack: Path, tmp_path: Path) -> None:
    source = offline_pack / PACK.detector.source
    for name in ("one", "other"):
        dequantise(source, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert (tmp_path / "one").read_bytes() == (offline_pack / PACK.detector.file).read_bytes()


def test_nothing_quantised_is_left_and_sizes_are_free(offline_pack: Path) -> None:
    for network, free in zip(PACK.networks, ((2, 3), (0,)), strict=True):
        graph = onnx.load(offline_pack / network.file).graph
        assert not any(node.op_type == "DequantizeLinear" for node in graph.node)
        (source,) = graph.input
        dimensions = source.type.tensor_type.shape.dim
        assert [i for i, d in enumerate(dimensions) if d.dim_param] == list(free)
