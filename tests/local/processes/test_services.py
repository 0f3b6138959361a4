"""Nothing outlives the process that started it, however that process ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.processes.services import Guard, Service, ServiceError

PARENT = """
import sys, time
from pathlib import Path
from local.processes.services import Guard, Service
folder = Path(sys.argv[1])
guard = Guard(patience_seconds=1)
guard.tell("remove", folder)
child = "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
child += "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)"
environ = {"PATH": "/usr/bin"}
Service("stubborn", [sys.executable, "-c", child], environ, folder / "a.log", guard).start()
Service("meek", [sys.executable, "-c", "import time; time.sleep(600)"], environ,
        folder / "b.log", guard).start()
time.sleep(1)
print("ready", flush=True)
time.sleep(600)
"""


def running_with(marker: str) -> list[int]:
    """The processes that inherited the marker in their environment or show it as an argument."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if marker.encode() in told and state != "Z":
            found.append(int(process.name))
    return found


@pytest.fixture
def service(tmp_path: Path):
    guard = Guard()

    def make(code: str, ready_url: str | None = None) -> Service:
        argv = [sys.executable, "-c", code]
        return Service("it", argv, dict(os.environ), tmp_path / "it.log", guard, ready_url)

    yield make
    guard.let_go()
    guard.wait()


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_children_and_theirs_end_with_their_parent(tmp_path: Path, sig: signal.Signals):
    folder = tmp_path / f"marker-{time.time_ns()}"
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "MARK": folder.name},
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        pids = running_with(folder.name)
        parent.send_signal(sig)
    deadline = time.monotonic() + 60
    while running_with(folder.name) or folder.exists():
        assert time.monotonic() < deadline, running_with(folder.name)
        time.sleep(0.05)
    assert len(pids) >= 2  # the parent and its guard were seen at all


def test_a_service_that_ends_early_is_told_with_its_last_words(service):
    short = service("print('no such model'); raise SystemExit(3)", "http://127.0.0.1:9/")
    short.start()
    with pytest.raises(ServiceError, match="no such model"):
        short.wait_ready()


def test_a_service_can_be_killed_and_started_again(service):
    once = service("import time; time.sleep(600)")
    once.start()
    first = once.pid
    assert once.running
    once.kill()
    assert not once.running
    once.start()
    assert once.running
    assert once.pid != first
    once.stop()
    assert once.pid is None
