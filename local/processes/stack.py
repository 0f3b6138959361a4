"""The whole system on one machine: ``with Stack() as stack: stack.client().rpc(…)``.

A real PostgreSQL with the real migrations, both functions as they run on Cloud Run
(functions-framework under gunicorn), and stand-ins for what Supabase puts around them.
Everything listens on loopback only, and nothing outlives the process that made the stack.
"""

import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg
from supabase import Client, ClientOptions

from local.processes.postgres import Extension, Postgres, free_port
from local.processes.services import Guard, Service
from local.supabase import receiver
from local.supabase.keys import Keys
from local.supabase.migrations import apply_migrations

ROOT = Path(__file__).parents[2]
SCHEDULED_SECONDS = 30  # what the migrations ask pg_cron for
GATEWAY = "local.supabase.gateway:create_app()"
EXTENSIONS: tuple[Extension, ...] = (
    "auth",
    "storage",
    "pg_net",
    "vault",
    "cron",
)  # as every hosted project


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """What a stack may do differently."""

    process_source: Path = ROOT / "functions" / "process" / "main.py"
    cluster_source: Path = ROOT / "functions" / "cluster" / "main.py"
    environ: Mapping[str, str] = field(
        default_factory=dict
    )  # for both functions, over the defaults
    settings: Mapping[str, Any] = field(default_factory=dict)  # for memoria_configure, likewise
    threads: int = 8  # per function: Cloud Run's concurrency
    sweep_seconds: float = 30
    without: frozenset[str] = (
        frozenset()
    )  # services not to start: gateway pg_net cron process cluster
    ports: Mapping[str, int] = field(default_factory=dict)  # of gateway, process, cluster, postgres
    postgres_settings: tuple[str, ...] = ()  # name=value, over local/processes/postgres.py's


class Stack:
    """Starts everything, knows every address and secret, ends everything."""

    def __init__(self, options: StackOptions | None = None) -> None:
        self.options = options or StackOptions()
        self.keys = Keys(
            secret=f"sb_secret_{secrets.token_urlsafe(16)}",
            publishable=f"sb_publishable_{secrets.token_urlsafe(16)}",
            jwt_secret=secrets.token_hex(32),
        )
        self.webhook_secret = secrets.token_urlsafe(24)
        self.callback_secret = secrets.token_urlsafe(24)
        ports = {name: free_port() for name in ("gateway", "process", "cluster")}
        self.ports = ports | dict(self.options.ports)
        self.supabase_url = f"http://127.0.0.1:{self.ports['gateway']}"
        self.process_url = f"http://127.0.0.1:{self.ports['process']}"
        self.cluster_url = f"http://127.0.0.1:{self.ports['cluster']}"
        # where nudges go: a test may put something between them and the functions before the start
        self.nudge_urls = {"process": self.process_url, "cluster": self.cluster_url}
        self.callback_url = self.supabase_url + receiver.PATH
        self.services: dict[str, Service] = {}
        self._http_clients: list[httpx.Client] = []

    @property
    def database_url(self) -> str:
        """As the role ``postgres``."""
        return self.postgres.url

    def start(self) -> Self:
        """Start everything and wait until it serves. Raises ServiceError."""
        self._guard = Guard()
        try:
            self._start_postgres()
            self._start_services()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End every process, remove every file, close every client."""
        for http in self._http_clients:
            http.close()
        self._guard.let_go()
        for service in self.services.values():
            service.wait()
        self._guard.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def client(self, key: str | None = None, token: str | None = None) -> Client:
        """A Supabase client: with the secret key, or as a user with a token of their own."""
        http = httpx.Client(timeout=60, trust_env=False)
        self._http_clients.append(http)
        options = ClientOptions(auto_refresh_token=False, persist_session=False, httpx_client=http)
        if token:
            options.headers["Authorization"] = f"Bearer {token}"
        return Client(self.supabase_url, key or self.keys.secret, options)

    def deliveries(self) -> list[dict[str, Any]]:
        """The callbacks that arrived: ``{"headers", "body", "status"}``."""
        answer = httpx.get(self.callback_url, trust_env=False)
        deliveries: list[dict[str, Any]] = answer.raise_for_status().json()
        return deliveries

    def _start_postgres(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="memoria-"))
        self._guard.tell("remove", self.folder)
        self.postgres = Postgres(
            port=self.options.ports.get("postgres"), settings=self.options.postgres_settings
        )
        self._guard.tell("remove", self.postgres.data_dir)
        self.postgres.start()
        self.postgres.install("postgres", *EXTENSIONS)
        apply_migrations(self.database_url)

    def _start_services(self) -> None:
        for service in self._describe_services():
            if service.name not in self.options.without:
                self.services[service.name] = service
                service.start()
        for service in self.services.values():
            service.wait_ready()
        self._configure()

    def _configure(self) -> None:
        settings = {
            "process_url": self.nudge_urls["process"],
            "cluster_url": self.nudge_urls["cluster"],
            "webhook_secret": self.webhook_secret,
        } | dict(self.options.settings)
        with psycopg.connect(self.database_url) as connection:
            statement = "select public.memoria_configure(%s::jsonb)"
            connection.execute(statement, (json.dumps(settings),))

    def _describe_services(self) -> list[Service]:
        gateway = {
            "LOCAL_SECRET_KEY": self.keys.secret,
            "LOCAL_PUBLISHABLE_KEY": self.keys.publishable,
            "LOCAL_JWT_SECRET": self.keys.jwt_secret,
            "LOCAL_DATABASE_URL": f"postgresql://127.0.0.1:{self.postgres.port}/postgres",
            "LOCAL_STORAGE_DIR": str(self.folder / "storage"),
        }
        database = {"LOCAL_DATABASE_URL": self.postgres.url_of("postgres", "supabase_admin")}
        speed = {"LOCAL_CRON_SPEED": str(SCHEDULED_SECONDS / self.options.sweep_seconds)}
        return [
            self._web("gateway", GATEWAY, gateway, threads=32, grace_seconds=1),
            self._worker("pg_net", database),
            self._worker("cron", database | speed),
            self._function("process", self.options.process_source),
            self._function("cluster", self.options.cluster_source),
        ]

    def _function(self, target: str, source: Path) -> Service:
        environ = {
            "SUPABASE_URL": self.supabase_url,
            "SUPABASE_SERVICE_ROLE_KEY": self.keys.secret,
            "CALLBACK_URL": self.callback_url,
            "CALLBACK_SECRET": self.callback_secret,
            "WEBHOOK_SECRET": self.webhook_secret,
        } | dict(self.options.environ)
        app = f"functions_framework:create_app({target!r}, {str(source)!r})"
        return self._web(target, app, environ, threads=self.options.threads, grace_seconds=3)

    def _web(
        self, name: str, app: str, environ: Mapping[str, str], *, threads: int, grace_seconds: int
    ) -> Service:
        address = f"127.0.0.1:{self.ports[name]}"
        argv = [sys.executable, "-m", "gunicorn", "--bind", address, "--workers", "1"]
        argv += ["--threads", str(threads), "--timeout", "0"]
        argv += ["--graceful-timeout", str(grace_seconds), "--no-control-socket"]
        argv += ["--log-level", "warning", app]
        return self._service(name, argv, environ, f"http://{address}/ready")

    def _worker(self, name: str, environ: Mapping[str, str]) -> Service:
        return self._service(name, [sys.executable, "-m", f"local.supabase.{name}"], environ, None)

    def _service(
        self, name: str, argv: list[str], environ: Mapping[str, str], ready_url: str | None
    ) -> Service:
        base = dict(os.environ) | {
            "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}",
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        log = self.folder / f"{name}.log"
        return Service(name, argv, base | dict(environ), log, self._guard, ready_url)


def main() -> None:
    """``python -m local.processes.stack``: start it, say where it is, serve until Ctrl-C."""
    with Stack() as stack:
        print(f"supabase  {stack.supabase_url}  {stack.keys.secret}")
        print(f"process   {stack.process_url}\ncluster   {stack.cluster_url}")
        print(f"database  {stack.database_url}\nlogs      {stack.folder}", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print("stopping")


if __name__ == "__main__":
    main()
