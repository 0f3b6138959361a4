"""Which files are a pack, and one clear sentence where a folder is none that can run."""

import shutil
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from memoria.faces import open_engine
from memoria.packs.catalogue import PACKS
from memoria.packs.folder import locate
from memoria.packs.pack import WeightsUnavailable

DETECTOR = "face_detection_yunet_2023mar_fp32.onnx"
RECOGNISER = "face_recognition_sface_2021dec_fp32.onnx"

Shape = list[int | str]


HEAD: Shape = ["n", 85]


def model(path: Path, inputs: Shape, *outputs: Shape) -> None:
    """A network of these shapes, which says nothing about faces."""
    source = helper.make_tensor_value_info("data", TensorProto.FLOAT, inputs)
    names = [f"out{i}" for i in range(len(outputs))]
    nodes = [helper.make_node("Flatten", ["data"], ["flat"])]
    bounds = []
    for name, shape in zip(names, outputs, strict=True):
        size = shape[-1] if isinstance(shape[-1], int) else 64
        ends = {f"{name} from": 0, f"{name} to": size, f"{name} along": 1}
        bounds += [helper.make_tensor(n, TensorProto.INT64, [1], [v]) for n, v in ends.items()]
        nodes.append(helper.make_node("Slice", ["flat", *ends], [name]))
    infos = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for n, s in zip(names, outputs, strict=True)
    ]
    graph = helper.make_graph(nodes, "g", [source], infos, bounds)
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[opset]), path)


@pytest.fixture
def pack(offline_pack: Path, tmp_path: Path) -> Path:
    """A copy under a name that the catalogue does not know."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in (DETECTOR, RECOGNISER):
        shutil.copyfile(offline_pack / name, folder / name)
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(WeightsUnavailable) as told:
        open_engine(folder, threads=1)
    message = str(told.value)
    assert "\n" not in message
    return message


def test_a_known_pack_is_found_by_its_file_names(offline_pack: Path) -> None:
    found = locate(offline_pack, "yunet_sface1_int8")
    assert found.pack is PACKS["yunet_sface1_int8"]
    assert (found.detector.name, found.recogniser.name) == (DETECTOR, RECOGNISER)


def test_an_unknown_pack_is_told_apart_by_its_shapes(pack: Path) -> None:
    found = locate(pack, "mine")
    assert found.pack is None
    assert (found.detector.name, found.recogniser.name) == (DETECTOR, RECOGNISER)


def test_half_a_pack_is_no_pack(pack: Path) -> None:
    (pack / RECOGNISER).unlink()
    assert "no detector and recogniser" in refused(pack)


def test_a_broken_file_is_named(pack: Path) -> None:
    (pack / RECOGNISER).write_bytes((pack / RECOGNISER).read_bytes()[:1000])
    assert RECOGNISER in refused(pack)


def test_a_detector_without_key_points_is_refused(pack: Path) -> None:
    cells: Shape = ["n", 4]
    model(pack / DETECTOR, [1, 3, "h", "w"], *[cells] * 6)
    assert "6 outputs are not SCRFD's or YuNet's with key points" in refused(pack)


def test_a_detector_of_unknown_layout_is_refused(pack: Path) -> None:
    model(pack / DETECTOR, [1, 3, "h", "w"], *(HEAD for _ in range(9)))
    assert "9 outputs are not SCRFD's or YuNet's" in refused(pack)


def test_short_vectors_are_refused(pack: Path) -> None:
    model(pack / RECOGNISER, ["n", 3, 112, 112], ["n", 64])
    assert "vectors have 64 numbers" in refused(pack)


def test_a_recogniser_that_does_not_tell_its_size_is_asked(pack: Path) -> None:
    model(pack / RECOGNISER, ["n", 3, 112, 112], ["n", "m"])
    assert "vectors have 64 numbers" in refused(pack)


def test_larger_crops_are_refused(pack: Path) -> None:
    model(pack / RECOGNISER, ["n", 3, 224, 224], ["n", 512])
    assert "crops of 112 pixels" in refused(pack)


@pytest.fixture
def known(pack: Path) -> Path:
    """The same files under the name that the catalogue knows."""
    return pack.rename(pack.with_name("yunet_sface1_int8"))


def test_a_known_pack_with_a_detector_of_another_kind_is_refused(known: Path) -> None:
    model(known / DETECTOR, [1, 3, "h", "w"], *[["n", w] for w in (1, 4, 10) for _ in range(3)])
    assert "9 outputs are not YuNet's with key points" in refused(known)


def test_a_known_pack_with_another_recogniser_is_refused(known: Path) -> None:
    model(known / RECOGNISER, ["n", 3, 112, 112], ["n", 512])
    assert "vectors have 512 numbers, not 128" in refused(known)


def test_networks_that_do_not_keep_their_word_are_refused_before_any_photo(pack: Path) -> None:
    model(pack / RECOGNISER, ["n", 3, 112, 112], ["n", 512])
    lying = onnx.load(pack / RECOGNISER)
    for tensor in lying.graph.initializer:
        if tensor.name.endswith(" to"):
            tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.INT64, [1], [100]))
    del lying.graph.value_info[:]
    onnx.save(lying, pack / RECOGNISER)
    assert "mine" in refused(pack) or "100 numbers" in refused(pack)


def test_an_empty_folder_or_none_is_told(tmp_path: Path) -> None:
    assert "there is no folder" in refused(tmp_path / "nothing")
    (tmp_path / "nothing").mkdir()
    assert "no detector and recogniser among the .onnx files of nothing/" in refused(
        tmp_path / "nothing"
    )


def test_a_network_for_something_else_is_passed_over(pack: Path) -> None:
    model(pack / "a first one.onnx", ["n", 16], ["n", 8])
    assert locate(pack, "mine").detector.name == DETECTOR
