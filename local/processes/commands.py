"""What each service of a stack is started with: its command line, and what its environment adds.

Pure: addresses and secrets in, commands out; ``stack.py`` makes processes of them.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.processes.options import ROOT
from local.processes.services import SOCKET
from local.supabase.keys import Keys

SCHEDULED_SECONDS = 30  # what the migrations ask pg_cron for


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a service; one with a port listens there, and tells under ``/ready``."""

    name: str
    argv: list[str]
    environ: Mapping[str, str] = field(repr=False)
    port: int | None = None

    @property
    def ready_url(self) -> str | None:
        """Answers 200 once the service can be used; a worker is ready at once."""
        return f"http://127.0.0.1:{self.port}/ready" if self.port else None


def gateway(
    port: int, keys: Keys, *, postgres_port: int, storage: Path, size_limit: int
) -> Command:
    """REST, Auth and Storage under one address; ``size_limit``: bytes of an upload."""
    environ = {
        "LOCAL_SECRET_KEY": keys.secret,
        "LOCAL_PUBLISHABLE_KEY": keys.publishable,
        "LOCAL_JWT_SECRET": keys.jwt_secret,
        "LOCAL_DATABASE_URL": f"postgresql://127.0.0.1:{postgres_port}/postgres",
        "LOCAL_STORAGE_DIR": str(storage),
        "LOCAL_SIZE_LIMIT": str(size_limit),
    }
    app = "local.supabase.gateway:create_app()"
    return _web("gateway", app, port, environ, threads=32, graceful_seconds=1)


def pg_net(database_url: str) -> Command:
    """What sends the database's webhooks."""
    return _worker("pg_net", {"LOCAL_DATABASE_URL": database_url})


def cron(database_url: str, sweep_seconds: float) -> Command:
    """What runs the database's schedule, faster or slower than it says."""
    speed = str(SCHEDULED_SECONDS / sweep_seconds)
    return _worker("cron", {"LOCAL_DATABASE_URL": database_url, "LOCAL_CRON_SPEED": speed})


def function(
    target: str, source: Path, port: int, threads: int, environ: Mapping[str, str]
) -> Command:
    """One of the two functions, as its image starts it. ``threads``: Cloud Run's concurrency."""
    app = f"functions_framework:create_app({target!r}, {str(source)!r})"
    as_shipped = ("--config", str(ROOT / "functions" / "gunicorn.conf.py"))
    return _web(target, app, port, environ, *as_shipped, threads=threads, graceful_seconds=3)


def pages(port: int, config: Mapping[str, str]) -> Command:
    """The example apps; ``config``: what they import from ``/config.js``."""
    app = "local.processes.pages:create_app()"
    environ = {"LOCAL_PAGES_CONFIG": json.dumps(config)}
    return _web("pages", app, port, environ, threads=8, graceful_seconds=1)


def _web(
    name: str,
    app: str,
    port: int,
    environ: Mapping[str, str],
    *options: str,
    threads: int,
    graceful_seconds: int,
) -> Command:
    argv = [sys.executable, "-m", "gunicorn", *options, "--bind", SOCKET, "--workers", "1"]
    argv += ["--threads", str(threads), "--graceful-timeout", str(graceful_seconds)]
    argv += ["--timeout", "0", "--no-control-socket", "--log-level", "warning", app]
    return Command(name, argv, environ, port)


def _worker(name: str, environ: Mapping[str, str]) -> Command:
    return Command(name, [sys.executable, "-m", f"local.supabase.{name}"], environ)
