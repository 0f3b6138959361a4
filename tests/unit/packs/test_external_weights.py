import shutil
from pathlib import Path

import numpy as np
import pytest

from memoria.packs.external_weights import move_weights_out
from memoria.packs.normalisation import input_mean_and_std
from memoria.packs.session import open_session
from tests.data import SMALL_PACK, needs

RECOGNISER = "rec_mobilefacenet.onnx"

pytestmark = needs(SMALL_PACK)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    for path in SMALL_PACK.glob("*.onnx"):
        shutil.copyfile(path, tmp_path / path.name)
    return tmp_path


def test_the_answers_stay_bit_for_bit_the_same(pack: Path) -> None:
    x = np.random.default_rng(0).uniform(0, 255, (2, 3, 112, 112)).astype(np.float32)
    (expected,) = open_session(pack / RECOGNISER).run(None, {"data": x})
    move_weights_out(pack)
    (found,) = open_session(pack / RECOGNISER).run(None, {"data": x})
    np.testing.assert_array_equal(found, expected)


def test_the_graph_gets_small_and_the_weights_lie_beside_it(pack: Path) -> None:
    move_weights_out(pack)
    assert (pack / RECOGNISER).stat().st_size < 200_000
    assert (pack / RECOGNISER).with_suffix(".bin").stat().st_size > 4_000_000


def test_doing_it_twice_changes_nothing(pack: Path) -> None:
    assert len(move_weights_out(pack)) == 2
    before = {path.name: path.read_bytes() for path in pack.iterdir()}
    assert move_weights_out(pack) == []
    assert {path.name: path.read_bytes() for path in pack.iterdir()} == before


def test_how_the_input_is_normalised_can_still_be_told(pack: Path) -> None:
    before = input_mean_and_std(pack / RECOGNISER)
    move_weights_out(pack)
    assert input_mean_and_std(pack / RECOGNISER) == before
