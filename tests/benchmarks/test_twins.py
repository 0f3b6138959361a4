"""The twins must cost what buffalo_l costs, or the benchmarks measure something else."""

from pathlib import Path

import pytest

from benchmarks import photos, twins
from benchmarks.peak import multiplications
from benchmarks.speed import Recorded, floor_of
from memoria.faces import open_engine

# Sizes of the published files, in bytes.
DET_10G, W600K_R50 = 16_923_827, 174_383_860


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return twins.make(tmp_path_factory.mktemp("twins"))


def test_the_twins_weigh_what_the_published_files_weigh(pack: Path) -> None:
    assert (pack / "det_10g.onnx").stat().st_size == pytest.approx(DET_10G, rel=0.001)
    assert (pack / "w600k_r50.onnx").stat().st_size == pytest.approx(W600K_R50, rel=0.001)


def test_the_detector_twin_computes_ten_gflops_at_vga() -> None:
    assert multiplications(twins.scrfd_10g(), 480, 640) == pytest.approx(10e9, rel=0.05)


def test_the_recogniser_twin_computes_six_gflops_a_face() -> None:
    assert multiplications(twins.iresnet_50(), 112, 112) == pytest.approx(6.3e9, rel=0.05)


@pytest.mark.parametrize("count", [0, 1, 3, 20])
@pytest.mark.filterwarnings("ignore:.*estimate.*:FutureWarning")
def test_insightface_loads_the_twins_and_finds_as_many_faces_as_were_painted(
    pack: Path, count: int
) -> None:
    from insightface.app import FaceAnalysis

    reference = FaceAnalysis(str(pack), allowed_modules=["detection", "recognition"])
    reference.prepare(ctx_id=-1, det_size=(640, 640))
    found = reference.get(photos.photo((1280, 960), count)[..., ::-1])
    assert len(found) == count
    assert all(face.embedding.shape == (512,) for face in found)


def test_the_floor_of_a_request_is_one_photo_s(pack: Path) -> None:
    engine = open_engine(pack)
    floor_of(engine, photos.jpeg(photos.photo((1280, 960), 3)))
    assert not isinstance(engine.recogniser._session, Recorded)  # what comes later is not recorded
    assert not isinstance(engine.search.detector._session, Recorded)


def test_markers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        photos.photo((640, 480), 500)
