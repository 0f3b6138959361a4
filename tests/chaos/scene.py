"""The whole stack, with what stands between its parts and what the app would be."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.processes.postgres import free_port
from local.processes.stack import Stack, StackOptions
from tests.chaos import times
from tests.chaos.faults import nudge_faults, supabase_faults
from tests.chaos.photos import MAX_MEDIA_BYTES
from tests.chaos.proxy import PASS, Proxy
from tests.chaos.receiver import CallbackReceiver

MAX_IN_FLIGHT = {"process": 32, "cluster": 2, "callback": 16}  # as shipped
SWEEP_SECONDS = 30  # likewise, of pg_cron


@dataclass(frozen=True, slots=True)
class Scene:
    """A running stack with what stands around it."""

    stack: Stack
    receiver: CallbackReceiver
    nudges: dict[str, Proxy]
    supabase: Proxy


@contextmanager
def scene(model_dir: Path, rng: random.Random | None) -> Iterator[Scene]:
    """Everything up; without ``rng`` the proxies only pass things on."""
    ports = {name: free_port() for name in ("gateway", "process", "cluster", "postgres")}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    with ExitStack() as exits:
        receiver = exits.enter_context(CallbackReceiver(free_port()))
        decide = supabase_faults(rng) if rng else lambda _method, _path: PASS
        supabase = exits.enter_context(Proxy(urls["gateway"], decide))
        nudges = {
            name: exits.enter_context(
                Proxy(urls[name], nudge_faults(rng) if rng else lambda _method, _path: PASS)
            )
            for name in ("process", "cluster")
        }
        environ = {
            "SUPABASE_URL": supabase.url,
            "CALLBACK_URL": receiver.url,
            "MODEL_DIR": str(model_dir),
            "MAX_MEDIA_BYTES": str(MAX_MEDIA_BYTES),
        }
        options = StackOptions(
            environ=environ | times.environ(),
            sweep_seconds=SWEEP_SECONDS / times.FACTOR,
            ports=ports,
            postgres_settings=("fsync=on",),  # a database that crashes is to be a real one
        )
        stack = Stack(options)
        stack.nudge_urls = {name: proxy.url for name, proxy in nudges.items()}
        receiver.secret = stack.callback_secret
        exits.enter_context(stack)
        times.divide_times(stack.database_url)
        yield Scene(stack, receiver, nudges, supabase)
