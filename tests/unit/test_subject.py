""".ci/subject: what a commit's first line must look like."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "subject"


@pytest.mark.parametrize(
    ("subject", "status"),
    [
        ("Queue: a lost nudge is sent again after its lease", 0),
        ("Merge branch 'main'", 0),
        ("fixed things", 1),
        ("Queue: " + "x" * 64, 0),
        ("Queue: " + "x" * 65, 1),
        ("", 1),
    ],
)
def test_a_subject_names_its_area_and_is_short(tmp_path: Path, subject: str, status: int) -> None:
    message = tmp_path / "message"
    message.write_text(f"{subject}\n\nWhy.\n")
    done = subprocess.run([str(SCRIPT), str(message)], capture_output=True, check=False)
    assert done.returncode == status
