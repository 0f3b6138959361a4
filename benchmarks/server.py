"""The functions as they are served, in a process of their own, and the memory it takes."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from local.processes.postgres import free_port
from memoria.packs.external_weights import move_weights_out
from memoria.packs.prelu import rewrite_prelus

ROOT = Path(__file__).parents[1]
PLAIN = ROOT / "benchmarks" / "plain_function" / "main.py"
SECRET = "benchmark"


@dataclass
class SlowStorage:
    """On loopback, in the place of Supabase: photos after ``delay_seconds``, jobs nobody knows."""

    photos: dict[str, bytes]
    delay_seconds: float = 0.0
    server: ThreadingHTTPServer = field(init=False)

    def __enter__(self) -> "SlowStorage":
        storage = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(storage.delay_seconds)
                self.answer(storage.photos[self.path.strip("/")], "image/jpeg")

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.answer(b'{"outcome": "unknown"}', "application/json")

            def answer(self, data: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@dataclass
class Server:
    """A served function: its address, its process, and how long it took to answer first."""

    url: str
    pid: int
    ready_seconds: float
    ready_cpu_seconds: float = 0.0

    def process(self, media_url: str, name: str = "photo") -> dict[str, object]:
        """One direct request. Raises for anything but a full answer."""
        body = {"job_id": f"test-{name}", "media_id": name, "event_id": "e", "media_url": media_url}
        answer = httpx.post(f"{self.url}/process", json=body, timeout=300, headers=authorised())
        answer.raise_for_status()
        return dict(json.loads(answer.text))

    @property
    def cpu_seconds(self) -> float:
        """CPU time that the process and its children have spent."""
        return sum(ticks(pid) for pid in family(self.pid)) / os.sysconf("SC_CLK_TCK")

    @property
    def megabytes(self) -> float:
        """Resident memory of the process and its children, MB."""
        return sum(resident(pid) for pid in family(self.pid)) / 1e6


def as_in_the_image(pack: Path) -> Path:
    """A copy of the pack as the build of the CPU's image leaves it."""
    copy = pack.parent / "image" / pack.name
    if not copy.exists():
        shutil.copytree(pack, copy)
        rewrite_prelus(copy)
        move_weights_out(copy)
    return copy


def authorised() -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRET}"}


@contextmanager
def serve(
    target: str, source: Path, environ: Mapping[str, str], *, path: str = "/ready"
) -> Iterator[Server]:
    """The function under gunicorn as its image starts it, until it answers 200 on ``path``."""
    port = free_port()
    config = ROOT / "functions" / "gunicorn.conf.py"
    app = f"functions_framework:create_app({target!r}, {str(source)!r})"
    argv = [sys.executable, "-m", "gunicorn", "--config", str(config), "--log-level", "error"]
    argv += ["--bind", f"127.0.0.1:{port}", app]
    known = {
        "PYTHONPATH": str(ROOT / "shared"),
        "SUPABASE_URL": "http://127.0.0.1:9",
        "SUPABASE_SERVICE_ROLE_KEY": "key",
        "CALLBACK_URL": "off",
        "WEBHOOK_SECRET": SECRET,
        "MALLOC_ARENA_MAX": "2",  # as in the image
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        [*argv], env=dict(os.environ) | known | dict(environ), stdout=subprocess.DEVNULL
    )
    try:
        wait_for(f"http://127.0.0.1:{port}{path}", process)
        taken = time.perf_counter() - started
        server = Server(f"http://127.0.0.1:{port}", process.pid, taken)
        server.ready_cpu_seconds = server.cpu_seconds
        yield server
    finally:
        process.terminate()
        process.wait(20)


def wait_for(url: str, process: "subprocess.Popen[bytes]", patience: float = 120) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=patience).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.005)
    raise RuntimeError(f"no answer from {url}")


@contextmanager
def peak_of(server: Server) -> Iterator[Callable[[], float]]:
    """``with peak_of(server) as peak: …; peak()`` -> the most memory it took meanwhile, MB."""
    seen, done = [server.megabytes], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            seen.append(server.megabytes)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield lambda: max(seen)
    done.set()
    thread.join()


def family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in family(int(child)))]


def ticks(pid: int) -> int:
    """User and system time, in clock ticks (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def resident(pid: int) -> int:
    """Private memory and a share of what is shared (PSS), so that a fork counts once. Bytes.

    Raises PermissionError where it is a function's and we are not root (decision 0207).
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
