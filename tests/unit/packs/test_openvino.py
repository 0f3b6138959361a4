"""The second gear: OpenVINO in the place of ONNX Runtime, and ONNX Runtime where it is none.

What bfloat16 changes can only be seen on a CPU that has it; everything else is tried in float32.
"""

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from local.demo.sample_event import group_photo
from memoria.faces import Engine, open_engine
from memoria.faces.detector import Detector
from memoria.faces.recogniser import Recogniser
from memoria.media import decode_image
from memoria.packs.folder import locate
from memoria.packs.inference import hindrance, network_opener, serving
from memoria.packs.intermediate import intermediate_of, write_intermediates
from memoria.packs.openvino_session import OpenvinoSession, open_openvino
from memoria.packs.pack import WeightsUnavailable
from memoria.packs.session import open_session
from tests.data import any_pack, photo_of_six

LIBRARY = Path(__file__).parents[3] / "shared"
WORST = 0.995  # the least cosine to float32 of a face that is none of the doubtful ones


def in_float32(path: Path) -> OpenvinoSession:
    return open_openvino(path, threads=2, precision="f32")


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    for path in any_pack().glob("*.onnx"):
        shutil.copyfile(path, tmp_path / path.name)
    return tmp_path


@pytest.fixture
def cpu(tmp_path: Path) -> Callable[[str], Path]:
    """A /proc/cpuinfo of two CPUs with these flags."""

    def written(flags: str) -> Path:
        one = f"processor\t: 0\nmodel name\t: A CPU\nflags\t\t: fpu {flags} sse\nbugs\t\t: \n\n"
        (tmp_path / "cpuinfo").write_text(one * 2)
        return tmp_path / "cpuinfo"

    return written


def in_openvino(engine: Engine, folder: Path, opened: Callable[[Path], Any]) -> Engine:
    """The engine with its networks opened another way."""
    files, old = locate(folder, folder.name), engine.recogniser
    recogniser = Recogniser(opened(files.recogniser), old._mean, old._std)
    search = replace(engine.search, detector=Detector(opened(files.detector), files.pack))
    return replace(engine, search=search, recogniser=recogniser)


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16"])
def test_a_cpu_with_bfloat16_is_served_by_openvino(cpu: Callable[[str], Path], flag: str) -> None:
    assert hindrance(cpu(f"avx512f {flag}")) == ""
    assert serving("openvino", cpu(flag)) == "openvino"
    assert serving("onnxruntime", cpu(flag)) == "onnxruntime"


@pytest.mark.parametrize("flags", ["avx2 fma", "avx512f avx512_vnni", "avx512_bf16x", ""])
def test_on_any_other_onnx_runtime_serves_and_one_warning_says_so(
    cpu: Callable[[str], Path], flags: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert serving("openvino", cpu(flags)) == "onnxruntime"
    opened = network_opener("openvino", threads=1, cpuinfo=cpu(flags))
    for file in (locate(any_pack()).detector, locate(any_pack()).recogniser):
        assert opened(file).get_providers() == ["CPUExecutionProvider"]
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert "neither avx512_bf16 nor amx_bf16; ONNX Runtime serves" in warning.getMessage()


def test_where_the_kernel_lists_no_flags_onnx_runtime_serves(tmp_path: Path) -> None:
    assert serving("openvino", tmp_path / "nothing") == "onnxruntime"
    (tmp_path / "arm").write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n")
    assert serving("openvino", tmp_path / "arm") == "onnxruntime"


def test_openvino_is_imported_only_where_it_serves(cpu: Callable[[str], Path]) -> None:
    script = (
        "import sys; from pathlib import Path; from memoria.packs.inference import *;"
        "network_opener('openvino', cpuinfo=Path(sys.argv[1]));"
        "serving('openvino', Path(sys.argv[2])); print('openvino' in sys.modules)"
    )
    without, having = cpu("avx2").rename(cpu("").parent / "without"), cpu("avx512_bf16")
    done = subprocess.run(
        [sys.executable, "-c", script, str(without), str(having)],
        capture_output=True, text=True, check=True, cwd=LIBRARY,
    )  # fmt: skip
    assert done.stdout.strip() == "False"


def test_a_session_looks_like_one_of_onnx_runtime() -> None:
    files = locate(any_pack())
    for file in (files.detector, files.recogniser):
        here, there = in_float32(file), open_session(file)
        for mine, theirs in ((here.get_inputs(), there.get_inputs()),
                             (here.get_outputs(), there.get_outputs())):  # fmt: skip
            assert [port.name for port in mine] == [port.name for port in theirs]
        fixed = [isinstance(side, int) for side in there.get_inputs()[0].shape[1:]]
        assert [isinstance(side, int) for side in here.get_inputs()[0].shape[1:]] == fixed


@pytest.mark.parametrize("kind", ["insightface", "yunet"])
def test_the_whole_engine_finds_the_same_faces(
    kind: str, offline_pack: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = offline_pack if kind == "yunet" else any_pack()
    image = decode_image(group_photo().read_bytes() if kind == "yunet" else photo_of_six())
    engine = open_engine(folder, threads=2)
    expected = engine.find_faces(image)
    found = in_openvino(engine, folder, in_float32).find_faces(image)
    assert len(found) == len(expected) == 6
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine.box, theirs.box, atol=1e-3)
        # a doubtful face's points are a mean of looks: a rounding moves its crop by 0.04 pixels
        assert float(mine.embedding @ theirs.embedding) > 0.9995
    assert not caplog.records


def test_answers_are_not_overwritten_by_the_next_run() -> None:
    file = locate(any_pack()).recogniser
    session, name = in_float32(file), open_session(file).get_inputs()[0].name
    one, other = np.random.default_rng(0).uniform(0, 255, (2, 1, 3, 112, 112)).astype(np.float32)
    (first,) = session.run(None, {name: one})
    kept = first.copy()
    session.run(None, {name: other})
    np.testing.assert_array_equal(first, kept)


def test_vectors_of_the_second_gear_are_comparable_with_float32s() -> None:
    """In bfloat16 where the CPU has it; elsewhere ONNX Runtime serves.

    The detector's bfloat16 moves key points (decision 0606): 0.9932 was seen here, on a Xeon.
    """
    least = WORST if hindrance() else 0.98
    image = decode_image(photo_of_six())
    expected = open_engine(any_pack(), threads=2).find_faces(image)
    found = open_engine(any_pack(), threads=2, inference="openvino").find_faces(image)
    for face in expected:
        assert max(float(face.embedding @ other.embedding) for other in found) > least


def test_a_precision_that_this_cpu_has_not_is_told(caplog: pytest.LogCaptureFixture) -> None:
    session = open_openvino(locate(any_pack()).recogniser, precision="bf16")
    assert session.get_inputs()
    assert ("not in bf16" in caplog.text) is bool(hindrance())


def test_the_intermediate_is_half_as_large_and_what_is_opened(pack: Path) -> None:
    file = locate(pack).recogniser
    before = in_float32(file)
    written = write_intermediates(pack)
    assert sorted(path.stem for path in written) == sorted(
        path.stem for path in pack.glob("*.onnx")
    )
    made = intermediate_of(file)
    assert made.with_suffix(".bin").stat().st_size < 0.55 * file.stat().st_size
    blob = np.random.default_rng(0).uniform(0, 255, (1, 3, 112, 112)).astype(np.float32)
    name = before.get_inputs()[0].name
    (expected,), (found,) = (one.run(None, {name: blob}) for one in (before, in_float32(file)))
    assert not np.array_equal(expected, found)  # how much they differ is the network's own
    apart = 1 - (expected * found).sum() / np.linalg.norm(expected) / np.linalg.norm(found)
    assert apart < 1e-3
    assert write_intermediates(pack) == []


def test_the_folder_of_intermediates_is_no_part_of_the_pack(pack: Path) -> None:
    before = locate(pack)
    write_intermediates(pack)
    assert locate(pack) == before


@pytest.mark.parametrize("content", [b"not a model", None])
def test_a_broken_or_missing_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsUnavailable, match=r"OpenVINO cannot open broken\.onnx"):
        in_float32(path)
