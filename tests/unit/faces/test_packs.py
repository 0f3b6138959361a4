"""Packs that differ from the small one: a fixed canvas, a fixed batch, normalising outside."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from memoria.faces import Engine, Face, open_engine
from memoria.faces.recogniser import GPU_BATCH, Recogniser
from memoria.media import decode_image
from memoria.packs.normalisation import input_mean_and_std
from memoria.packs.session import open_session
from tests.data import PHOTOS, SMALL_PACK, needs

DETECTOR, RECOGNISER = "det_2.5g.onnx", "rec_mobilefacenet.onnx"
pytestmark = needs(SMALL_PACK, PHOTOS)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    for path in SMALL_PACK.glob("*.onnx"):
        shutil.copyfile(path, tmp_path / path.name)
    return tmp_path


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine(SMALL_PACK, threads=2)


def fix_input(path: Path, *shape: int) -> None:
    model = onnx.load(path)
    for dimension, value in zip(
        model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True
    ):
        dimension.dim_value = value
    onnx.save(model, path)


def normalise_outside(path: Path) -> None:
    """Drop (x − 127.5) / 128 from the graph; its weights then expect (x − 127.5) / 127.5."""
    model = onnx.load(path)
    subtract, multiply, first = model.graph.node[:3]
    assert (subtract.op_type, multiply.op_type, first.op_type) == ("Sub", "Mul", "Conv")
    first.input[0] = model.graph.input[0].name
    for node in (subtract, multiply):
        model.graph.node.remove(node)
    kernel = next(t for t in model.graph.initializer if t.name == first.input[1])
    scaled = numpy_helper.to_array(kernel) * np.float32(127.5 / 128)
    kernel.CopyFrom(numpy_helper.from_array(scaled, kernel.name))
    onnx.save(model, path)


def selfie(engine: Engine) -> list[Face]:
    return engine.find_faces(decode_image((PHOTOS / "selfie_6_faces.jpg").read_bytes()))


def cosines(some: list[Face], others: list[Face]) -> list[float]:
    """Of each face to the most similar of the others."""
    return [max(float(a.embedding @ b.embedding) for b in others) for a in some]


def test_a_recogniser_that_expects_normalised_input_gives_the_same_embeddings(
    engine: Engine, pack: Path
) -> None:
    normalise_outside(pack / RECOGNISER)
    assert input_mean_and_std(pack / RECOGNISER) == (127.5, 127.5)
    outside = selfie(open_engine(pack, threads=2))
    assert len(outside) == 6
    assert min(cosines(outside, selfie(engine))) > 0.9999


@pytest.mark.parametrize("side", [640, 320])
def test_a_detector_of_one_canvas_only_finds_the_same_people(
    engine: Engine, pack: Path, side: int
) -> None:
    fix_input(pack / DETECTOR, 1, 3, side, side)
    fixed = open_engine(pack, threads=2)
    assert fixed.search.detector.fixed_size == (side, side)
    found = selfie(fixed)
    assert len(found) == 6
    assert min(cosines(selfie(engine), found)) > 0.8


def test_a_crowd_fits_a_fixed_canvas_too(pack: Path) -> None:
    fix_input(pack / DETECTOR, 1, 3, 640, 640)
    solvay = decode_image((PHOTOS / "solvay_1927_29_faces.png").read_bytes())
    assert len(open_engine(pack, threads=2).find_faces(solvay)) == 29


@pytest.mark.parametrize("count", [0, 1, 5, GPU_BATCH + 1])
def test_batches_of_any_kind_give_the_same_vectors(pack: Path, count: int) -> None:
    crops = np.random.default_rng(0).integers(0, 255, (count, 112, 112, 3), np.uint8)
    plain = Recogniser(open_session(pack / RECOGNISER, threads=2), 0, 1)
    on_gpu = Recogniser(open_session(pack / RECOGNISER, threads=2), 0, 1, on_gpu=True)
    fix_input(pack / RECOGNISER, 3, 3, 112, 112)
    fixed = Recogniser(open_session(pack / RECOGNISER, threads=2), 0, 1)
    expected = plain.embed(crops)
    assert expected.shape == (count, 512)
    np.testing.assert_allclose(on_gpu.embed(crops), expected, atol=1e-3)
    np.testing.assert_allclose(fixed.embed(crops), expected, atol=1e-3)
