"""``make schemas``: writes what is made from schemas/; with ``--check`` only says what differs."""

import sys
from pathlib import Path

from memoria import __version__
from schemas.openapi import openapi, text
from schemas.typescript import declarations

ROOT = Path(__file__).parents[1]


def made() -> dict[Path, str]:
    """Every file that is made from the schemas, with its text."""
    return {
        ROOT / "clients" / "memoria.d.ts": declarations(),
        ROOT / "docs" / "openapi.json": text(openapi(__version__)),
    }


def main() -> int:
    """The command line."""
    stale = [path for path, told in made().items() if not path.exists() or path.read_text() != told]
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not as schemas/ has it: make schemas\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(made()[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
