"""In which order and pieces ``make test`` shares out its tests."""

from tests.documents import ROOT
from tests.order import LONGEST, TOGETHER, unit


def test_what_is_named_is_there() -> None:
    assert [name for name in (*TOGETHER, *LONGEST) if not (ROOT / name).exists()] == []


def test_a_folder_whose_tests_share_a_system_is_one_piece_and_a_file_is_one() -> None:
    assert unit("tests/clients/test_client.py::test_a[b/c::d]") == "tests/clients"
    assert unit("tests/deploy/test_lock.py::test_a[b]") == "tests/deploy/test_lock.py"
