"""The whole stack, with what stands between its parts and what the app would be."""

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from local.processes.stack import Stack, StackOptions
from tests.chaos.faults import FETCH_TIMEOUT_SECONDS, nudge_faults, supabase_faults
from tests.chaos.photos import MAX_MEDIA_BYTES
from tests.chaos.proxy import PASS, Proxy
from tests.chaos.receiver import CallbackReceiver

MAX_IN_FLIGHT = {"process": 32, "cluster": 2, "callback": 8}
RUN_LEASE_SECONDS = 4
# short, so that what goes wrong is repaired within seconds; more attempts than any bad luck takes
SETTINGS = {
    "max_in_flight": MAX_IN_FLIGHT,
    "max_attempts": {"process": 30, "cluster": 30, "callback": 60},
    "run_lease_seconds": dict.fromkeys(MAX_IN_FLIGHT, RUN_LEASE_SECONDS),
    "dispatch_lease_seconds": 3,
    "backoff_first_seconds": 0.3,
    "backoff_most_seconds": 3,
    "quiet_period_seconds": 1,
    "nudge_timeout_ms": 3000,
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A running stack with what stands around it."""

    stack: Stack
    receiver: CallbackReceiver
    nudges: dict[str, Proxy]
    supabase: Proxy


def kept_ports(count: int) -> list[int]:
    """Ports that whoever comes back finds free: below those that outgoing connections are given."""
    free: set[int] = set()
    while len(free) < count:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            free.add(port)
    return list(free)


@contextmanager
def scene(model_dir: Path, rng: random.Random | None) -> Iterator[Scene]:
    """Everything up; without ``rng`` the proxies only pass things on."""
    names = ("gateway", "process", "cluster", "postgres")
    ports = dict(zip(names, kept_ports(len(names)), strict=True))
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    with ExitStack() as exits:
        receiver = exits.enter_context(CallbackReceiver(*kept_ports(1)))
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
            "FETCH_TIMEOUT_SECONDS": str(FETCH_TIMEOUT_SECONDS),
            "CALLBACK_TIMEOUT_SECONDS": "3",
        }
        options = StackOptions(
            environ=environ, settings=SETTINGS, sweep_seconds=1, ports=ports,
            postgres_settings=("fsync=on",),  # a database that crashes is to be a real one
        )  # fmt: skip
        stack = Stack(options)
        stack.nudge_urls = {name: proxy.url for name, proxy in nudges.items()}
        receiver.secret = stack.callback_secret
        exits.enter_context(stack)
        yield Scene(stack, receiver, nudges, supabase)
