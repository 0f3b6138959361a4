"""The whole system as ``make serve`` and ``make demo`` start it, on the database that is kept."""

import math
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import psycopg
from rich.console import Console

from local.demo.stages import say
from local.demo.weights import PackChoice
from local.processes.home import Home, HomeInUse
from local.processes.options import NEW_PROJECT_BYTES, ROOT
from local.processes.pages import START
from local.processes.services import Service, ServiceError
from local.processes.stack import Stack, StackOptions
from memoria.config import OFF, Settings

# one machine, nobody else waits: no need to be as patient as a deployment is
SETTINGS = {"quiet_period_seconds": 1}
SWEEP_SECONDS = 1
WEBHOOK_SECRET = "local-webhook-secret"
HOST_EMAIL, HOST_PASSWORD = "host@example.com", "local-host"
WATCH_SECONDS = 0.5
ENDING_SECONDS = 1  # from a broken connection to the end of its process
LIVED_SECONDS = 10  # what ends sooner than this after it was started again is given up
_APP = Path(__file__).with_name("app.sql")


def end_on_signals() -> None:
    """SIGINT and SIGTERM end us as Ctrl-C does, also in a script's background."""
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, _end)


def _end(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def state_folder() -> Path:
    """Where keys, database and uploads are kept."""
    return Path(os.environ.get("MEMORIA_STATE") or ROOT / ".local-state").absolute()


def limits(environ: Mapping[str, str]) -> Settings:
    """MAX_MEDIA_BYTES and MIN_CLUSTER_SIZE, as the functions read them. Raises BadConfiguration."""
    known = {
        "SUPABASE_URL": "http://127.0.0.1",
        "SUPABASE_SERVICE_ROLE_KEY": "unneeded",
        "CALLBACK_URL": OFF,
        "WEBHOOK_SECRET": "unneeded",
        "MAX_MEDIA_BYTES": environ.get("MAX_MEDIA_BYTES", ""),
        "MIN_CLUSTER_SIZE": environ.get("MIN_CLUSTER_SIZE", ""),
    }
    return Settings.from_env(known)


@dataclass(frozen=True, slots=True)
class System:
    """It runs."""

    stack: Stack
    host_id: str  # the user who may everything with the events that are made here


@contextmanager
def running(
    pack: PackChoice,
    console: Console,
    *,
    home: Home | None,
    ports: Mapping[str, int],
    pages: bool,
) -> Iterator[System]:
    """Everything, until the end of the block. Raises ServiceError, BadConfiguration."""
    stack = Stack(
        StackOptions(
            environ={**pack.environ, "SEARCH": "on", "SEARCH_ORIGINS": "*"},
            settings=SETTINGS,
            sweep_seconds=SWEEP_SECONDS,
            ports=ports,
            home=home,
            app_sql=_APP,
            pages=pages,
            size_limit=max(limits(os.environ).max_media_bytes, NEW_PROJECT_BYTES),
        )
    )
    stack.webhook_secret = WEBHOOK_SECRET
    starting = "starting PostgreSQL, the stand-ins and both functions"
    say(starting, console)
    with console.status(starting):
        stack.start()
    try:
        yield System(stack, _host(stack))
    except Exception:
        _wait_for_who_ended(stack)  # a call that failed says less than why
        raise
    finally:
        stack.stop()


def check_services(stack: Stack) -> None:
    """Raises ServiceError where a part of the system has ended by itself."""
    if not stack.postgres.running:
        raise ServiceError("PostgreSQL ended by itself.")
    for service in stack.fallen():
        raise ServiceError(f"{service.name} ended:\n{service.log_tail()}")


def _wait_for_who_ended(stack: Stack) -> None:
    """A connection breaks before its process is gone. Raises ServiceError."""
    deadline = time.monotonic() + ENDING_SECONDS
    while time.monotonic() < deadline:
        check_services(stack)
        time.sleep(0.05)


def taken_home(out: Path, console: Console) -> Home | None:
    """What is kept, or None where another process has it, and then what that means is said."""
    try:
        return Home(state_folder()).take()
    except HomeInUse as other:
        notice = (
            f"{other}. This run begins without the names and corrections that are kept there, and "
            "forgets its own in the end. To keep them, end both and run it again. "
            f"Another demo with the same OUT writes into {out}, too: OUT=folder keeps them apart."
        )
        console.print(notice, style="yellow", markup=False)
        return None


def _host(stack: Stack) -> str:
    """The id of the user who is there from the start."""
    with psycopg.connect(stack.database_url) as connection:
        found = connection.execute(
            "select id::text from auth.users where email = %s", (HOST_EMAIL,)
        ).fetchone()
    if found:
        return str(found[0])
    auth = stack.client(stack.keys.publishable).auth
    signed_up = auth.sign_up({"email": HOST_EMAIL, "password": HOST_PASSWORD})
    assert signed_up.user is not None
    return str(signed_up.user.id)


def name_event(system: System, event_id: str, title: str) -> None:
    """What the app calls the event, unless somebody gave it another name there."""
    with psycopg.connect(system.stack.database_url) as connection:
        connection.execute(
            "insert into app.titles (event_id, title) values (%s, %s) on conflict do nothing",
            (event_id, title.encode(errors="replace").decode()[:200] or event_id),
        )


def describe(system: System, home: Home | None, console: Console) -> None:
    """Where everything is, how to sign in, and what to source in a shell."""
    stack = system.stack
    pages = f"http://127.0.0.1:{stack.ports['pages']}"
    environment = {
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable,
        "SUPABASE_SERVICE_ROLE_KEY": stack.keys.secret,
        "PROCESS_URL": stack.process_url,
        "CLUSTER_URL": stack.cluster_url,
        "SEARCH_URL": stack.process_url,
        "WEBHOOK_SECRET": stack.webhook_secret,
        "CALLBACK_URL": stack.callback_url,
        "CALLBACK_SECRET": stack.callback_secret,
        "DATABASE_URL": stack.database_url,
    }
    places = {
        "app": pages + START,
        "sign in": f"{HOST_EMAIL} / {HOST_PASSWORD}, or sign up, or anonymously",
        "Supabase URL": stack.supabase_url,
        "publishable key": stack.keys.publishable,
        "secret key": stack.keys.secret,
        "process, search": stack.process_url,
        "cluster": stack.cluster_url,
        "webhook secret": stack.webhook_secret,
        "database": stack.database_url,
        "logs": str(stack.folder),
    }
    if home:
        file = home.write_environment(environment)
        shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
        places["in a shell"] = f". {shown} && .venv/bin/memoria doctor"
    for name, value in places.items():
        console.print(f"{name:<18}{value}", soft_wrap=True, markup=False)
    console.print("Ctrl-C ends it", style="dim")


def watch(stack: Stack, console: Console) -> None:
    """Wait for Ctrl-C; say which service ended, and start it again. Raises ServiceError."""
    with suppress(KeyboardInterrupt):
        _start_what_falls(stack, console)
    console.print("stopping")


def _start_what_falls(stack: Stack, console: Console) -> None:
    restarted: dict[str, float] = {}
    while True:
        time.sleep(WATCH_SECONDS)
        if not stack.postgres.running:
            raise ServiceError("PostgreSQL ended by itself: everything is stopped.")
        for service in stack.fallen():
            if time.monotonic() - restarted.get(service.name, -math.inf) < LIVED_SECONDS:
                log = service.log_tail()
                raise ServiceError(f"{service.name} ended again: everything is stopped.\n{log}")
            _say_and_restart(service, console)
            restarted[service.name] = time.monotonic()


def _say_and_restart(service: Service, console: Console) -> None:
    console.print(f"{service.name} ended by itself and is started again", style="red")
    console.print(service.log_tail(5), style="dim", markup=False)
    service.kill()  # whatever is left of it
    service.start()
    service.wait_ready()
