"""The command line reads ``.env`` of its working folder: none of whoever runs the tests."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _no_settings_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
