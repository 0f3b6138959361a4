"""Migrations of a release never change: ``supabase/released.sha256`` holds their checksums.

``python -m local.supabase.released`` adds those that are there, as a part of each release (0.2.0 is
the first). The file is what ``sha256sum --check`` reads, from within ``supabase/migrations``.
"""

import hashlib
from pathlib import Path

from local.supabase.migrations import MIGRATIONS

RELEASED = MIGRATIONS.parent / "released.sha256"


def released(file: Path = RELEASED) -> dict[str, str]:
    """The name of each released migration -> its SHA-256, in hex; none before the first release."""
    lines = file.read_text().splitlines() if file.exists() else []
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def changed(file: Path = RELEASED, folder: Path = MIGRATIONS) -> list[str]:
    """The names of released migrations that are not as they were, or not there."""
    now = _digests(folder)
    return [name for name, digest in released(file).items() if now.get(name) != digest]


def freeze(file: Path = RELEASED, folder: Path = MIGRATIONS) -> None:
    """What is there stays as it is from now on. Raises ValueError where something did not."""
    if names := changed(file, folder):
        raise ValueError(f"released, and changed since: {', '.join(names)}")
    lines = [f"{digest}  {name}\n" for name, digest in sorted(_digests(folder).items())]
    file.write_text("".join(lines))


def _digests(folder: Path) -> dict[str, str]:
    files = folder.glob("*.sql")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


if __name__ == "__main__":
    freeze()
