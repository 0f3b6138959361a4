"""How both functions are served: one worker, so one model in memory; threads for what waits."""

import ctypes
import os
import sys
from pathlib import Path

from memoria.config import BadConfiguration, Settings

# A decoding child has our user: it must not read our environment and memory by /proc. The worker
# inherits this where it is forked, a child does not, since it is started with exec.
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE

bind = f"0.0.0.0:{os.environ.get('PORT', '8080')}"
workers = 1
worker_class = "memoria.gunicorn_worker.BufferingWorker"
threads = int(os.environ.get("THREADS", "8"))  # Cloud Run's --concurrency, and a few for /health
worker_connections = threads + 400  # the usual limit of open files is 1024
timeout = 0  # with threads this would watch the worker's heartbeat, not a request
graceful_timeout = 8  # Cloud Run kills ten seconds after SIGTERM
keepalive = 75  # longer than the front end keeps its idle connections
control_socket_disable = True  # would be written to a read-only root filesystem
# The worker's heartbeat file; where there is no memory-backed folder, the default is one already.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108


def on_starting(_: object) -> None:
    """Stop at once where the environment makes no service: a worker would be restarted for ever."""
    try:
        Settings.from_env(os.environ)
    except BadConfiguration as problem:
        sys.exit(str(problem))
