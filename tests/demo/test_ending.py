"""However the demo ends, no process of it is left, and no file but what is kept."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from rich.console import Console

from local.demo.event import event_status
from local.demo.system import running
from local.demo.weights import PackChoice
from local.processes.services import ServiceError
from tests.states import state_folder

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc"),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


def processes_of(folder: Path) -> list[str]:
    """The command lines of the processes that inherited the folder as their TMPDIR."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ = environ_of(process).split(b"\0")
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"TMPDIR={folder}".encode() in environ and command:  # a zombie has none
            found.append(command)
    return found


def environ_of(process: Path) -> bytes:
    """A function's is read by root alone (decision 0207): others read its parent's."""
    try:
        return (process / "environ").read_bytes()
    except PermissionError:
        parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
        return (process.parent / parent / "environ").read_bytes()


ENDINGS = [
    (signal.SIGINT, "postgres"),
    (signal.SIGINT, "uploaded"),
    (signal.SIGTERM, "functions_framework"),
    (signal.SIGKILL, "uploaded"),
]
if os.environ.get("EVERY_ENDING"):  # each starts a system: soak has them all
    MOMENTS = ("postgres", "functions_framework", "uploaded")
    ENDINGS = list(product((signal.SIGINT, signal.SIGTERM, signal.SIGKILL), MOMENTS))
# 130, which a shell makes of the other one as well. Python ends so where the signal meets an `exec`
# of a string, as dataclasses have, although the exception was handled (run_eval_code_obj).
INTERRUPTED = (130, -signal.SIGINT)


@pytest.mark.parametrize(("sig", "moment"), ENDINGS)
def test_nothing_is_left(
    folder: Path, any_event: Path, pack: Path, sig: signal.Signals, moment: str
):
    environ = {"PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}", "MODEL_DIR": str(pack)}
    arguments = ["-m", "local.demo", "--photos", str(any_event), "--out", str(folder / "out")]
    with subprocess.Popen(
        [sys.executable, *arguments],
        env=os.environ | environ | {"TMPDIR": str(folder), "MEMORIA_STATE": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        wait_until_seen(folder, moment)
        running.send_signal(sig)
    assert running.returncode in ((-sig,) if sig == signal.SIGKILL else INTERRUPTED)
    deadline = time.monotonic() + 60
    while processes_of(folder) or any(folder.glob("memoria-[!s]*")):
        assert time.monotonic() < deadline, processes_of(folder)
        time.sleep(0.05)


def test_a_part_that_ends_is_named_and_not_the_call_that_failed(pack: Path):
    def ask_without_gateway() -> None:
        chosen, console = PackChoice({"MODEL_DIR": str(pack)}), Console(quiet=True)
        with running(chosen, console, home=None, ports={}, pages=False) as system:
            client = system.stack.client()
            system.stack.services["gateway"].kill()
            event_status(client, "any")

    with pytest.raises(ServiceError, match="gateway ended"):
        ask_without_gateway()


def wait_until_seen(folder: Path, moment: str, seconds: float = 120) -> None:
    """Until a process of that name runs; "uploaded": until photos have arrived."""
    deadline = time.monotonic() + seconds
    while not (
        any(moment in command for command in processes_of(folder))
        or (moment == "uploaded" and list(folder.glob("data-*/storage/*/*")))
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)
