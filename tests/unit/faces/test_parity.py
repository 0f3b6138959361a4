"""The detector and recogniser give what insightface's own classes give."""

import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from memoria.faces import Engine, open_engine
from memoria.faces.geometry import crop_transforms, suppressed
from memoria.media import decode_image
from memoria.packs.normalisation import input_mean_and_std
from tests.data import DATA, SITCOM, SMALL_PACK, needs

PHOTOS = ["photos/selfie_6_faces.jpg", "events/sitcom/IMG_0034.jpg", "events/sitcom/IMG_0018.jpg"]

pytestmark = needs(SMALL_PACK, SITCOM)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX
    from insightface.model_zoo.scrfd import SCRFD
    from insightface.utils.face_align import estimate_norm, norm_crop


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine(SMALL_PACK, threads=2)


def canvas(name: str) -> np.ndarray:
    """A photo as insightface puts it on a 640 × 640 canvas."""
    image = decode_image((DATA / name).read_bytes())
    scale = 640 / max(image.shape[:2])
    small = cv2.resize(image, (int(image.shape[1] * scale), int(image.shape[0] * scale)))
    result = np.zeros((640, 640, 3), np.uint8)
    result[: small.shape[0], : small.shape[1]] = small
    return result


@pytest.mark.parametrize("name", PHOTOS)
def test_boxes_and_landmarks_are_insightfaces(engine: Engine, name: str) -> None:
    theirs = SCRFD(str(SMALL_PACK / "det_2.5g.onnx"), static_shape_sessions=False)
    theirs.prepare(-1, input_size=(640, 640), det_thresh=0.5)
    image = canvas(name)
    boxes, landmarks = theirs.detect(np.ascontiguousarray(image[:, :, ::-1]))
    ours = suppressed(engine.search.detector.detect(image, 0.5))
    assert len(ours) == len(boxes) > 3
    np.testing.assert_allclose(ours.boxes, boxes[:, :4], atol=0.5)
    np.testing.assert_allclose(ours.landmarks, landmarks, atol=0.5)
    np.testing.assert_allclose(ours.scores, boxes[:, 4], atol=1e-3)


def test_alignment_is_insightfaces(engine: Engine) -> None:
    landmarks = suppressed(engine.search.detector.detect(canvas(PHOTOS[0]), 0.5)).landmarks
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = np.stack([estimate_norm(points) for points in landmarks])
    np.testing.assert_allclose(crop_transforms(landmarks), theirs, atol=1e-3)


def test_embeddings_are_insightfaces(engine: Engine) -> None:
    image = canvas(PHOTOS[1])
    landmarks = suppressed(engine.search.detector.detect(image, 0.5)).landmarks
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        crops = [norm_crop(image, points) for points in landmarks]
    theirs = ArcFaceONNX(str(SMALL_PACK / "rec_mobilefacenet.onnx")).get_feat(
        [np.ascontiguousarray(crop[:, :, ::-1]) for crop in crops]
    )
    ours = engine.recogniser.embed(np.stack(crops))
    cosines = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosines.min() > 0.9999


def test_normalisation_is_told_as_insightface_tells_it(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    def model(names: list[str]) -> Path:
        nodes, last = [], "data"
        for i, name in enumerate(names):
            nodes.append(helper.make_node("Identity", [last], [f"t{i}"], name=name))
            last = f"t{i}"
        shape: list[str | int | None] = ["N", 3, 112, 112]
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("data", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)],
        )
        path = tmp_path / "model.onnx"
        onnx.save(
            helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]),
            path,
        )
        return path

    for names in (
        ["Sub_0", "Mul_1"],
        ["_minusscalar0", "_mulscalar0"],
        ["Conv_0"],
        [*(f"a{i}" for i in range(8)), "Sub", "Mul"],
    ):
        path = model(names)
        theirs = ArcFaceONNX(str(path))
        assert input_mean_and_std(path) == (theirs.input_mean, theirs.input_std)
