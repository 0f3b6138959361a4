"""Python imports this first: files that a process opens for writing are added to ``writes``."""

import os
import sys
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_log = os.open(Path(__file__).with_name("writes"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
        os.write(_log, f"{arguments[0]!r}\n".encode())
    elif event in ("tempfile.mkstemp", "tempfile.mkdtemp"):
        os.write(_log, f"{event} {arguments[0]!r}\n".encode())


sys.addaudithook(_watch)
