"""Answer the whole corpus under a memory ceiling that the operating system enforces.

``python -m tests.corpus.serve MODEL_DIR CEILING_BYTES`` prints one JSON object: outcomes by
code, and the files whose outcome is no result and no Terminal error.
"""

import collections
import json
import resource
import sys
import warnings
from pathlib import Path

from memoria.errors import Terminal
from memoria.faces import find_faces_in_photo, open_engine
from memoria.malloc import give_back_memory
from tests.corpus.damage import corpus


def main(model_dir: str, ceiling: int) -> None:
    """Everything in one process: what one file does to it, the next ones feel."""
    warnings.simplefilter("ignore")  # Pillow warns of the damage that this is about
    engine = open_engine(model_dir, threads=1)
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    outcomes: collections.Counter[str] = collections.Counter()
    crashes = {}
    files = peak = 0
    for name, data in corpus():
        files += 1
        _forget_peak()  # making a bomb takes more than answering it
        try:
            find_faces_in_photo(engine, data)
            outcomes["result"] += 1
        except Terminal as error:
            outcomes[error.code] += bool(error.message)
        except Exception as error:
            crashes[name] = repr(error)
        peak = max(peak, _peak())
    sys.stdout.write(
        json.dumps({"files": files, "outcomes": outcomes, "crashes": crashes, "peak": peak})
    )


def _forget_peak() -> None:
    give_back_memory()
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Bytes resident at most, since it was forgotten."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
