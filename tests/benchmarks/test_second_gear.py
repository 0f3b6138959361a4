"""The second gear's benchmark needs a CPU with bfloat16; what it is made of runs on any."""

import shutil
from pathlib import Path

import pytest

from benchmarks import second_gear
from benchmarks.speed import face_analysis
from memoria.faces import open_engine
from memoria.packs.intermediate import intermediate_of
from tests.data import any_pack


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "a_pack"
    shutil.copytree(any_pack(), folder, ignore=shutil.ignore_patterns("*.json", "*.md"))
    return folder


def test_the_pack_is_what_the_image_holds(pack: Path) -> None:
    image = second_gear.with_intermediates(pack)
    for path in image.glob("*.onnx"):
        assert intermediate_of(path).is_file()


def test_two_engines_and_a_peer_are_compared_on_the_same_photo() -> None:
    engine = open_engine(any_pack(), threads=2)
    peer = face_analysis(any_pack())
    ratio, beside = second_gear.measured(engine, engine, peer, cases=(1,), rounds=1)
    assert ratio.value is not None
    assert 0.05 < ratio.value < 20
    assert beside.value is not None
    assert 0.05 < beside.value < 20


def test_without_bfloat16_nothing_is_measured_and_the_table_says_why(
    pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_gear, "hindrance", lambda: "no bfloat16")
    (row,) = second_gear.second_gear(pack)
    assert row.value is None
    assert row.what == "second gear: not measured, no bfloat16"
