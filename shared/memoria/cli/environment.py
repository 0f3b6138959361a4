"""``.env`` for the command line, read as ``deploy.sh`` reads it; the environment wins over it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

_LINE = re.compile(r"\s*(?:export\s+)?([A-Z_]+)\s*=(.*)")
_QUOTED = re.compile(r"""(?P<mark>["'])(?P<value>.*?)(?P=mark)(?:\s+#.*)?""")
_COMMENT = re.compile(r"(?:^|\s)#.*")


def environment(file: Path = Path(".env")) -> Mapping[str, str]:
    """The variables of the process, and those that are set in the file alone."""
    return {**os.environ, **{k: v for k, v in _read(file).items() if not os.environ.get(k)}}


def _read(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    lines = file.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    matched = (found for line in lines if (found := _LINE.fullmatch(line.rstrip("\r"))))
    return {found[1]: _value(found[2].strip()) for found in matched}


def _value(text: str) -> str:
    quoted = _QUOTED.fullmatch(text)
    return (quoted["value"] if quoted else _COMMENT.sub("", text, count=1)).strip()
