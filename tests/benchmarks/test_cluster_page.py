from pathlib import Path

import pytest

from benchmarks.cluster_page import set_rows

PAGE = """before
<!-- speed -->
| faces | what |
|---|---|
| 1,000 | ours |
| 1,000 | theirs |
| 20,000 | ours |
<!-- end of speed -->
after
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_the_rows_of_a_size_are_replaced_and_others_stay(page: Path) -> None:
    set_rows("speed", 1000, ["ours, again"], page)
    assert page.read_text() == PAGE.replace(
        "| 1,000 | ours |\n| 1,000 | theirs |", "| 1,000 | ours, again |"
    )


def test_a_new_size_takes_its_place_among_the_others(page: Path) -> None:
    set_rows("speed", 8000, ["ours"], page)
    assert page.read_text() == PAGE.replace("| 20,000", "| 8,000 | ours |\n| 20,000")


def test_a_page_without_the_table_is_refused(page: Path) -> None:
    with pytest.raises(ValueError, match="run stages"):
        set_rows("run stages", 1000, [], page)
