"""The GPU's benchmark cannot run here; what it is made of can, on the CPU."""

from pathlib import Path

import pytest

from benchmarks import gpu, photos, twins
from memoria.faces import open_engine
from memoria.packs.session import gpu_available


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return twins.make(tmp_path_factory.mktemp("twins") / "buffalo_l")


def test_the_stage_split_names_every_stage(pack: Path) -> None:
    data = photos.jpeg(photos.photo((1280, 960), 1))
    stages = gpu.split(open_engine(pack), data, rounds=1)
    assert list(stages) == ["decode", "detect", "align", "embed"]
    assert all(seconds > 0 for seconds in stages.values())


def test_photos_a_second_are_told_for_every_number_of_faces(pack: Path) -> None:
    (row,) = gpu.measured(open_engine(pack), 2, cases=(1,), rounds=1)
    assert "1 face" in row.what
    assert row.value is not None
    assert row.value > 0
    assert "embed" in row.detail


@pytest.mark.skipif(gpu_available(), reason="there is a GPU here")
def test_without_a_gpu_nothing_is_measured_and_the_table_says_so(pack: Path) -> None:
    (row,) = gpu.gpu(pack)
    assert "not measured" in row.what
    assert row.verdict == ""
