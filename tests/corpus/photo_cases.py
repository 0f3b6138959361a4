"""What becomes of odd photos, case by case: expected against got.

``python -m tests.corpus.photo_cases [FOLDER [MODEL_DIR]]`` prints one line a case and ends with 1
where one is wrong. A folder of cases holds the files and an ``index.json``: a list of objects with
``file``, ``outcome`` (``faces``, an error's code, ``refused or bounded`` or ``unclear``), ``faces``
(how many, or null), ``size`` (upright width and height, or null) and ``kind``.
"""

import json
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memoria.errors import Terminal
from memoria.faces import find_faces_in_photo, open_engine
from memoria.faces.types import FaceEngine
from tests.data import CASES, SMALL_PACK

BOUNDED_SECONDS = 5.0  # of a file that may be answered as long as it does not take long


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case."""

    case: dict[str, Any]
    got: str
    right: bool
    seconds: float


def outcomes(folder: Path, engine: FaceEngine) -> Iterator[Outcome]:
    """Answer every case of a folder, in the order of its index."""
    for case in json.loads((folder / "index.json").read_text()):
        data = (folder / case["file"]).read_bytes()
        started = time.monotonic()
        got, right = _answer(case, engine, data)
        seconds = time.monotonic() - started
        if case["outcome"] == "refused or bounded":
            right = seconds < BOUNDED_SECONDS
        yield Outcome(case, got, right, seconds)


def _answer(case: dict[str, Any], engine: FaceEngine, data: bytes) -> tuple[str, bool]:
    unclear = case["outcome"] in {"unclear", "refused or bounded"}
    try:
        faces, width, height = find_faces_in_photo(engine, data)
    except Terminal as error:
        return f"{error.code}: {error.message}", unclear or error.code == case["outcome"]
    got = f"{len(faces)} faces, {width} × {height}"
    if case["outcome"] != "faces":
        return got, unclear
    right_count = case["faces"] in {None, len(faces)}
    return got, right_count and case["size"] in (None, [width, height])


def main(folder: Path = CASES, pack: Path = SMALL_PACK) -> int:
    """Print the table."""
    warnings.simplefilter("ignore")
    wrong = 0
    for outcome in outcomes(folder, open_engine(pack)):
        case = outcome.case
        wrong += not outcome.right
        mark = "ok   " if outcome.right else "WRONG"
        expected = f"{case['outcome']} {case['faces']} {case['size']}"
        line = f"{mark} {case['file']:52} {expected:32} -> {outcome.got}, {outcome.seconds:.1f} s"
        sys.stdout.write(line + "\n")
    sys.stdout.write(f"{wrong} wrong\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
