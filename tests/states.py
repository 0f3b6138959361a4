"""A folder for what ``make demo`` and ``make serve`` keep."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def state_folder() -> Iterator[Path]:
    """One that the user nobody can enter too, as PostgreSQL does; gone in the end."""
    folder = Path(tempfile.mkdtemp(prefix="kept-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
