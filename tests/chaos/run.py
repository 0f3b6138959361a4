"""One season: a whole stack, uploads until all is done, with or without faults."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local.postgres import free_port
from local.stack import Stack, StackOptions
from tests.chaos.faults import FETCH_TIMEOUT_SECONDS, nudge_faults, supabase_faults
from tests.chaos.outages import Killer, ReceiverOutage, Target, crash_database
from tests.chaos.photos import MAX_MEDIA_BYTES, Photo
from tests.chaos.progress import Progress
from tests.chaos.proxy import PASS, Proxy
from tests.chaos.receiver import CallbackReceiver
from tests.chaos.snapshot import Snapshot, take_snapshot
from tests.chaos.uploads import Uploads

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


class NotDone(Exception):
    """The run did not come to its end in time."""


@dataclass(frozen=True, slots=True)
class Chaos:
    """How much of it."""

    kills: int  # of process
    kill_every: int  # forwarded requests
    freezes: int  # of process, for longer than its leases
    cluster_kills: int
    crashes: tuple[float, ...]  # at which share of the photos the database crashes


@dataclass(slots=True)
class Report:
    """What happened in one run."""

    snapshot: Snapshot
    seconds: float
    most_in_flight: Counter[str]
    injected: Counter[str] = field(default_factory=Counter)


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
    ports = {name: free_port() for name in ("gateway", "process", "cluster")}
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


def run_quietly(photos: list[Photo], model_dir: Path, seconds: float) -> Report:
    """The same season without any fault."""
    started = time.monotonic()
    with scene(model_dir, None) as place:
        progress = Progress(place.stack.database_url)
        _follow(place, photos, progress, seconds, None)
        return _report(place, progress, started)


def run_in_chaos(
    photos: list[Photo], model_dir: Path, chaos: Chaos, seed: int, seconds: float
) -> Report:
    """Every fault at once. Raises NotDone when the season does not end."""
    started = time.monotonic()
    rng = random.Random(seed)
    with scene(model_dir, rng) as place:
        progress = Progress(place.stack.database_url)
        outages = Outages(place, chaos, rng)
        _follow(place, photos, progress, seconds, outages)
        report = _report(place, progress, started)
        report.injected = outages.injected()
        return report


class Outages:
    """Everything that goes away in a run."""

    def __init__(self, place: Scene, chaos: Chaos, rng: random.Random) -> None:
        services, nudges = place.stack.services, place.nudges
        process = Target(
            services["process"], nudges["process"], chaos.kills, chaos.kill_every,
            chaos.freezes, freeze_seconds=RUN_LEASE_SECONDS + 2,
        )  # fmt: skip
        cluster = Target(services["cluster"], nudges["cluster"], chaos.cluster_kills, 3)
        self._place = place
        self._killer = Killer([process, cluster], rng)
        self._receiver = ReceiverOutage(place.receiver)
        self._crashes = list(chaos.crashes)
        self._counts: Counter[str] = Counter()

    def start(self) -> None:
        """From here on processes die."""
        self._killer.start()

    def follow(self, share: float) -> None:
        """``share`` of the photos are done."""
        self._receiver.follow(share)
        if self._crashes and share >= self._crashes[0]:
            self._crashes.pop(0)
            lost = crash_database(self._place.stack, seconds=1)
            self._counts["database: crashed and recovered"] += 1
            self._counts["database: webhooks that went with it"] += lost

    def stop(self) -> None:
        """Nothing dies any more."""
        self._killer.stop()

    def injected(self) -> Counter[str]:
        """Every fault by its name."""
        counts = Counter(self._counts)
        for service, proxy in self._place.nudges.items():
            counts[f"webhooks to {service}: in all"] = sum(proxy.faults.values())
            for name, count in proxy.faults.items():
                counts[f"webhooks to {service}: {name}"] += count
            counts[f"{service}: requests cut off"] = proxy.cut_off
        for target in self._killer.targets:
            name = target.service.name
            counts[f"{name}: SIGKILL"] = target.killed
            counts[f"{name}: frozen beyond its leases"] = target.frozen
            counts[f"{name}: SIGKILL in mid-request"] = self._killer.mid_request[name]
        for name, count in self._place.supabase.faults.items():
            counts[f"storage and database API: {name}"] += count
        counts["callbacks: answered 500"] = self._place.receiver.refused["failing"]
        return counts


def _follow(
    place: Scene, photos: list[Photo], progress: Progress, seconds: float, outages: Outages | None
) -> None:
    uploads = Uploads(place.stack, photos)
    deadline = time.monotonic() + seconds
    if outages:
        outages.start()
    try:
        while not (uploads.finished and progress.known and not progress.open):
            if time.monotonic() > deadline:
                raise NotDone(f"{progress.open} photos and jobs are open after {seconds:.0f} s")
            uploads.follow(progress.done, progress.clustered)
            if outages:
                outages.follow(uploads.share(progress.done))
            time.sleep(0.2)
            progress.refresh()
    finally:
        if outages:
            outages.stop()


def _report(place: Scene, progress: Progress, started: float) -> Report:
    snapshot = take_snapshot(place.stack.database_url, place.receiver.deliveries)
    return Report(snapshot, time.monotonic() - started, progress.most_in_flight)
