"""A function as it is served, gunicorn on a real socket, and what its clients do."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from local.processes.postgres import free_port
from tests.deploy.project import ROOT

SECRET = "a-secret-between-friends"
THREADS = 4
CLUSTER = f"functions_framework:create_app('cluster', '{ROOT}/functions/cluster/main.py')"


@contextmanager
def served(app: str = CLUSTER, by: tuple[str, ...] = ()) -> Iterator[int]:
    """Serves a WSGI app that has a /health, started by a command if need be; its port."""
    port = free_port()
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "shared"), str(ROOT)]),
        "PORT": str(port),
        "THREADS": str(THREADS),
        "SUPABASE_URL": "http://127.0.0.1:9",
        "SUPABASE_SERVICE_ROLE_KEY": "key",
        "CALLBACK_URL": "off",
        "WEBHOOK_SECRET": SECRET,
    }
    config = str(ROOT / "functions" / "gunicorn.conf.py")
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", config, "--log-level", "error", app]
    with subprocess.Popen([*by, *gunicorn], env=environ, stdout=subprocess.DEVNULL) as server:
        try:
            wait_healthy(port)
            yield port
        finally:
            server.terminate()
            server.wait()


def healthy(port: int) -> bool:
    """Whether /health answers within two seconds."""
    try:
        url = f"http://127.0.0.1:{port}/health"
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


def wait_healthy(port: int, seconds: float = 60) -> float:
    """Seconds until /health answered."""
    start = time.monotonic()
    while not healthy(port):
        assert time.monotonic() - start < seconds
        time.sleep(0.1)
    return time.monotonic() - start


def connect(port: int) -> socket.socket:
    """A client that waits for 20 seconds."""
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def request(headers: str, *, length: int = 1000, path: str = "/cluster") -> bytes:
    """The headers of a request with a body."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {length}", headers]
    return "\r\n".join(lines).rstrip().encode() + b"\r\n\r\n"


def signature() -> str:
    """Headers of a signature of this moment, which only the body tells from a true one."""
    return f"webhook-id: 1\r\nwebhook-timestamp: {int(time.time())}\r\nwebhook-signature: v1,AAAA"


def status(client: socket.socket) -> int:
    """Of the next answer, however many pieces it comes in; the socket is good for nothing else."""
    with client.makefile("rb") as answer:
        version, code, *_ = answer.readline().split()
    assert version == b"HTTP/1.1"
    return int(code)
