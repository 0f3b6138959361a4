"""What is made from schemas/ is committed as it is made."""

from pathlib import Path

import pytest

from schemas.__main__ import ROOT, made


@pytest.mark.parametrize("path", made(), ids=lambda path: path.name)
def test_what_is_made_from_the_schemas_is_committed(path: Path) -> None:
    assert path.read_text() == made()[path], f"{path.relative_to(ROOT)} differs: make schemas"
