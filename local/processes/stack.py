"""The whole system on one machine: ``with Stack() as stack: stack.client().rpc(…)``.

A real PostgreSQL with the real migrations, both functions as they run on Cloud Run
(functions-framework under gunicorn), and stand-ins for what Supabase puts around them.
Everything listens on loopback only, and nothing outlives the process that made the stack.
"""

import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg
from supabase import Client, ClientOptions

from local.processes import commands
from local.processes.commands import Command
from local.processes.database import server_for, start_database
from local.processes.home import fresh_keys
from local.processes.options import ROOT, StackOptions
from local.processes.postgres import free_port
from local.processes.services import Guard, Service, bound
from local.supabase import receiver

__all__ = ["Stack", "StackOptions"]


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
            self._start_database()
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

    def function(self, target: str, source: Path) -> Service:
        """``process`` or ``cluster`` from another source; not started."""
        return self._service(self._function(target, source))

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

    def _start_database(self) -> None:
        self._choose_folders()
        self.postgres = server_for(self.options)
        self._guard.tell("keep" if self._home else "remove", self.postgres.data_dir)
        start_database(self.postgres, self._home, self.options.app_sql)

    def _choose_folders(self) -> None:
        if self._home:
            self.folder, self._storage = self._home.logs, self._home.storage
            for log in self.folder.glob("*.log"):
                log.unlink()
        else:
            self.folder = Path(tempfile.mkdtemp(prefix="memoria-"))
            self._storage = self.folder / "storage"
            self._guard.tell("remove", self.folder)

    def _start_services(self) -> None:
        for command in self._commands():
            if command.name not in self.options.without:
                self.services[command.name] = service = self._service(command)
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

    def _commands(self) -> Iterator[Command]:
        options, ports = self.options, self.ports
        database_url = self.postgres.url_of("postgres", "supabase_admin")
        if options.pages:
            config = {
                "supabaseUrl": self.supabase_url,
                "publishableKey": self.keys.publishable,
                "searchUrl": self.process_url,
            }
            yield commands.pages(ports["pages"], config)
        yield commands.gateway(
            ports["gateway"],
            self.keys,
            postgres_port=self.postgres.port,
            storage=self._storage,
            size_limit=options.size_limit,
        )
        yield commands.pg_net(database_url)
        yield commands.cron(database_url, options.sweep_seconds)
        yield self._function("process", options.process_source)
        yield self._function("cluster", options.cluster_source)

    def _function(self, target: str, source: Path) -> Command:
        environ = {
            "SUPABASE_URL": self.supabase_url,
            "SUPABASE_SERVICE_ROLE_KEY": self.keys.secret,
            "CALLBACK_URL": self.callback_url,
            "CALLBACK_SECRET": self.callback_secret,
            "WEBHOOK_SECRET": self.webhook_secret,
        } | dict(self.options.environ)
        threads = self.options.threads
        return commands.function(target, source, self.ports[target], threads, environ)

    def _service(self, command: Command) -> Service:
        environ = dict(os.environ) | {
            "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}",
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        log = self.folder / f"{command.name}.log"
        return Service(
            command.name,
            command.argv,
            environ | dict(command.environ),
            log,
            self._guard,
            command.ready_url,
            command.port,
        )


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
