"""The whole system on one machine: ``with Stack() as stack: stack.client().rpc(…)``.

A real PostgreSQL with the real migrations, both functions as they run on Cloud Run
(functions-framework under gunicorn), and stand-ins for what Supabase puts around them.
Everything listens on loopback only, and nothing outlives the process that made the stack.
"""

import json
import os
import secrets
import shutil
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

from local.processes.home import Home, fresh_keys
from local.processes.postgres import Extension, Postgres, free_port
from local.processes.services import SOCKET, Guard, Service, ServiceError, bound
from local.supabase import receiver
from local.supabase.migrations import apply_migrations

ROOT = Path(__file__).parents[2]
SCHEDULED_SECONDS = 30  # what the migrations ask pg_cron for
PAGES = "local.processes.pages:create_app()"
# what is kept survives the machine's own crash, but for the last moments
KEPT_SETTINGS = ("fsync=on", "synchronous_commit=off")
GATEWAY = "local.supabase.gateway:create_app()"
# as every hosted project
EXTENSIONS: tuple[Extension, ...] = ("auth", "storage", "pg_net", "vault", "cron")


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """What a stack may do differently."""

    process_source: Path = ROOT / "functions" / "process" / "main.py"
    cluster_source: Path = ROOT / "functions" / "cluster" / "main.py"
    # for both functions, over the defaults
    environ: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)  # for memoria_configure, likewise
    threads: int = 8  # per function: Cloud Run's concurrency
    sweep_seconds: float = 30
    # services not to start: gateway pg_net cron process cluster
    without: frozenset[str] = frozenset()
    ports: Mapping[str, int] = field(default_factory=dict)  # by service, of postgres too
    postgres_settings: tuple[str, ...] = ()  # name=value, over local/processes/postgres.py's
    home: Home | None = None  # taken: what is kept; None leaves nothing behind
    app_sql: Path | None = None  # for a database that is new: what an app's own migration would do
    pages: bool = False  # serve the example apps, too
    size_limit: int = 52_428_800  # bytes of an upload: what a new project allows


class Stack:
    """Starts everything, knows every address and secret, ends everything."""

    def __init__(self, options: StackOptions | None = None) -> None:
        self.options = options or StackOptions()
        self._home = self.options.home
        self.keys = self._home.keys if self._home else fresh_keys()
        self.webhook_secret = secrets.token_urlsafe(24)
        self.callback_secret = (
            self._home.callback_secret if self._home else secrets.token_urlsafe(24)
        )
        web = ("gateway", "process", "cluster", *(("pages",) if self.options.pages else ()))
        ports = {name: free_port() for name in web if name not in self.options.ports}
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
        self._guard = Guard(holding=(self._home.lock,) if self._home else ())
        try:
            for name, port in self.ports.items():  # told before anything takes its time
                bound(name, port).close()
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
        if self._home:
            self._home.leave()

    def fallen(self) -> list[Service]:
        """The services that were started and have ended by themselves."""
        return [service for service in self.services.values() if not service.running]

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
        home, settings = self._home, self.options.postgres_settings
        if home:
            self.folder, self._storage = home.logs, home.storage
            for log in self.folder.glob("*.log"):
                log.unlink()
            settings = (*KEPT_SETTINGS, *settings)
        else:
            self.folder = Path(tempfile.mkdtemp(prefix="memoria-"))
            self._storage = self.folder / "storage"
            self._guard.tell("remove", self.folder)
        self.postgres = Postgres(
            home.database if home else None,
            port=self.options.ports.get("postgres"),
            settings=settings,
        )
        self._guard.tell("keep" if home else "remove", self.postgres.data_dir)
        if home and not home.made:
            shutil.rmtree(self.postgres.data_dir / "data", ignore_errors=True)
        self._start_server()
        if not home or not home.made:
            self._furnish()
        apply_migrations(self.database_url)
        if self.options.app_sql and not (home and home.made):
            with psycopg.connect(self.database_url) as connection:
                connection.execute(self.options.app_sql.read_bytes())
        if home:
            home.mark_made()

    def _start_server(self) -> None:
        try:
            self.postgres.start()
        except RuntimeError as exc:
            log = self.postgres.data_dir / "log"
            last = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
            raise ServiceError("\n".join([f"PostgreSQL: {exc}", *last])) from exc

    def _furnish(self) -> None:
        self.postgres.install("postgres", *EXTENSIONS)

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
            "LOCAL_STORAGE_DIR": str(self._storage),
            "LOCAL_SIZE_LIMIT": str(self.options.size_limit),
        }
        database = {"LOCAL_DATABASE_URL": self.postgres.url_of("postgres", "supabase_admin")}
        speed = {"LOCAL_CRON_SPEED": str(SCHEDULED_SECONDS / self.options.sweep_seconds)}
        pages = [self._pages()] if self.options.pages else []
        return [
            *pages,
            self._web("gateway", GATEWAY, gateway, ["--threads", "32", "--graceful-timeout", "1"]),
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
        as_shipped = ["--config", str(ROOT / "functions" / "gunicorn.conf.py")]
        options = ["--threads", str(self.options.threads), "--graceful-timeout", "3"]
        return self._web(target, app, environ, as_shipped + options)

    def _pages(self) -> Service:
        config = {
            "supabaseUrl": self.supabase_url,
            "publishableKey": self.keys.publishable,
            "searchUrl": self.process_url,
        }
        environ = {"LOCAL_PAGES_CONFIG": json.dumps(config)}
        return self._web("pages", PAGES, environ, ["--threads", "8", "--graceful-timeout", "1"])

    def _web(self, name: str, app: str, environ: Mapping[str, str], options: list[str]) -> Service:
        argv = [sys.executable, "-m", "gunicorn", *options, "--bind", SOCKET, "--workers", "1"]
        argv += ["--timeout", "0", "--no-control-socket", "--log-level", "warning", app]
        url = f"http://127.0.0.1:{self.ports[name]}/ready"
        return self._service(name, argv, environ, url, self.ports[name])

    def _worker(self, name: str, environ: Mapping[str, str]) -> Service:
        return self._service(name, [sys.executable, "-m", f"local.supabase.{name}"], environ, None)

    def _service(
        self,
        name: str,
        argv: list[str],
        environ: Mapping[str, str],
        ready_url: str | None,
        port: int | None = None,
    ) -> Service:
        base = dict(os.environ) | {
            "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}",
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        log = self.folder / f"{name}.log"
        return Service(name, argv, base | dict(environ), log, self._guard, ready_url, port)


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
