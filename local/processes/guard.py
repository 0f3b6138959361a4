"""Ends what a process started once that process is gone, however it went, SIGKILL included.

Run by ``local.processes.services.Guard``: it is told on standard input what to look after, and the
end of the input means that the parent has ended or asks for the end. This is the only way a stack
is ever stopped, so that the rare ways of ending are no special case. It imports nothing of
ours.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

KEEPING_SECONDS = 30.0


def follow(lines: Iterable[str]) -> tuple[list[int], list[Path], list[Path]]:
    """Read ``watch PID``, ``forget PID``, ``keep`` and ``remove FOLDER`` until the input ends."""
    watched: list[int] = []
    kept: list[Path] = []
    removed: list[Path] = []
    for line in lines:
        match line.rstrip("\n").split(" ", 1):
            case ["watch", pid]:
                watched.append(int(pid))
            case ["forget", pid] if int(pid) in watched:
                watched.remove(int(pid))
            case ["keep", folder]:
                kept.append(Path(folder))
            case ["remove", folder]:
                removed.append(Path(folder))
    return watched, kept, removed


def end_groups(leaders: Iterable[int], first: int, patience_seconds: float) -> None:
    """Send every leader a first signal, and kill what is left of its group after a while."""
    alive = [pid for pid in leaders if _signal_leader(pid, first)]
    deadline = time.monotonic() + patience_seconds
    while alive and time.monotonic() < deadline:
        time.sleep(0.02)
        alive = [pid for pid in alive if _signal_leader(pid, 0)]
    for pid in leaders:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _signal_leader(pid: int, sig: int) -> bool:
    with suppress(ProcessLookupError):
        if os.getpgid(pid) == pid:  # not the number of something else by now
            os.kill(pid, sig)
            return True
    return False


def postmasters(folders: Iterable[Path]) -> list[int]:
    """The PostgreSQL servers whose data lies in one of the folders."""
    found = []
    for folder in folders:
        for pid_file in folder.glob("data/postmaster.pid"):
            with suppress(FileNotFoundError):
                first_line = pid_file.read_text().partition("\n")[0]
                if first_line.isdigit():
                    found.append(int(first_line))
    return found


def main() -> None:
    """Wait for the end of standard input, then end everything and remove what is not kept."""
    patience_seconds = float(sys.argv[1])
    watched, kept, folders = follow(sys.stdin)
    end_groups(watched, signal.SIGTERM, patience_seconds)
    # a last checkpoint takes its time on a slow disk, and spares the next start a recovery
    end_groups(postmasters(kept), signal.SIGINT, max(patience_seconds, KEEPING_SECONDS))
    deadline = time.monotonic() + patience_seconds
    # again while initdb or a server that was just being started still writes
    while any(folder.exists() for folder in folders) and time.monotonic() < deadline:
        # at once, without a last checkpoint: the data goes anyway
        end_groups(postmasters(folders), signal.SIGQUIT, patience_seconds)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)


if __name__ == "__main__":
    main()
