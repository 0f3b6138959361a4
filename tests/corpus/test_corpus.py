"""Bad input: a result or a terminal error for every file, within memory, and the process lives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.pack import make_pack
from tests.data import any_pack

ROOT = Path(__file__).parents[2]
CEILING = 3 << 30  # of address space, of which a process of 2 GiB maps a good part without using it


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces RLIMIT_AS")
def test_every_bad_file_ends_in_a_result_or_a_terminal_error(tmp_path: Path) -> None:
    """With a pack that costs little: this is about files. ``make soak`` takes a real one."""
    pack = any_pack() if os.environ.get("CORPUS_PACK") == "any" else make_pack(tmp_path / "tiny")
    done = subprocess.run(
        [sys.executable, "-m", "tests.corpus.serve", str(pack), str(CEILING)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert report["crashes"] == {}
    assert report["files"] >= 850
    assert sum(report["outcomes"].values()) == report["files"]
    assert {"result", "unreadable_media", "unsupported_media_type", "media_too_large"} <= set(
        report["outcomes"]
    )
    assert report["peak"] < 1 << 30
