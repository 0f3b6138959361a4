"""What goes away and comes back: function processes, the database, the callback's receiver."""

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from local.processes.services import Service, ServiceError
from local.processes.stack import Stack
from tests.chaos.proxy import Proxy
from tests.chaos.receiver import CallbackReceiver
from tests.chaos.scene import Scene
from tests.chaos.times import run_lease_seconds


@dataclass(frozen=True, slots=True)
class Chaos:
    """How much of it."""

    kills: int  # of process
    kill_every: int  # forwarded requests
    freezes: int  # of process, for longer than its leases
    cluster_kills: int
    crashes: tuple[float, ...]  # at which share of the photos the database crashes


@dataclass(slots=True)
class Target:
    """A function, what stands in front of it, and how it is to be killed."""

    service: Service
    proxy: Proxy
    kills: int  # how often
    every: int  # forwarded requests between two strikes
    freezes: int = 0  # how often it is stopped for longer than its leases instead
    freeze_seconds: float = 0
    killed: int = 0
    frozen: int = 0
    mark: int = 0

    @property
    def due(self) -> bool:
        """Whether enough requests have passed, and one is under way."""
        passed = self.proxy.forwarded - self.mark
        left = self.killed + self.frozen < self.kills + self.freezes
        return left and passed >= self.every and self.proxy.in_flight > 0

    @property
    def next_is_freeze(self) -> bool:
        """Freezes are spread evenly among the kills, the first one after a first kill."""
        return self.frozen * self.kills < self.killed * self.freezes


class Killer(threading.Thread):
    """SIGKILL in the middle of a request, then a new process; now and then a freeze instead."""

    def __init__(self, targets: list[Target], rng: random.Random) -> None:
        super().__init__(daemon=True)
        self.targets = targets
        self.mid_request: Counter[str] = Counter()  # kills that cut off at least one request
        self.trouble: ServiceError | None = None
        self._rng = rng
        self._done = threading.Event()

    def run(self) -> None:
        """Until told to stop, or a function does not come back."""
        try:
            while not self._done.wait(0.02):
                for target in self.targets:
                    if target.due:
                        self._strike(target)
        except ServiceError as error:
            self.trouble = error

    def stop(self) -> None:
        """Returns when everything that was killed is up again."""
        self._done.set()
        self.join()

    def _strike(self, target: Target) -> None:
        time.sleep(self._rng.uniform(0, 0.1))
        if not target.proxy.in_flight:
            return
        if target.next_is_freeze:
            _freeze(target)
        else:
            self._kill(target)
        target.mark = target.proxy.forwarded

    def _kill(self, target: Target) -> None:
        before = target.proxy.cut_off
        target.service.kill()
        target.killed += 1
        target.service.start()
        target.service.wait_ready()
        self.mid_request[target.service.name] += target.proxy.cut_off > before


def _freeze(target: Target) -> None:
    """As a container without CPU: it wakes up believing that it still holds its jobs."""
    group = target.service.pid
    assert group is not None
    os.killpg(group, signal.SIGSTOP)
    time.sleep(target.freeze_seconds)
    os.killpg(group, signal.SIGCONT)
    target.frozen += 1


def crash_database(stack: Stack, seconds: float) -> int:
    """A crash and, some seconds later, the recovery -> how many webhooks the crash swallowed.

    pg_net deletes what it is sending in a transaction that ends when all answers are there, so
    whatever waits or is on its way is still visible just before.
    """
    waiting = 0
    with suppress(psycopg.Error), psycopg.connect(stack.database_url) as connection:
        row = connection.execute("select count(*) from net.http_request_queue").fetchone()
        waiting = int(row[0]) if row else 0
    stack.postgres.stop("immediate")
    time.sleep(seconds)
    stack.postgres.start()
    return waiting


class ReceiverOutage:
    """The callback's receiver refuses connections over one part of the way, fails over the next."""

    def __init__(self, receiver: CallbackReceiver) -> None:
        self._receiver = receiver
        self._steps = [(0.15, receiver.down), (0.35, self._come_back_failing), (0.45, self._mend)]

    def follow(self, progress: float) -> None:
        """``progress`` is the share of the photos that are done, 0..1."""
        while self._steps and progress >= self._steps[0][0]:
            self._steps.pop(0)[1]()

    def _come_back_failing(self) -> None:
        self._receiver.failing = True
        self._receiver.up()

    def _mend(self) -> None:
        self._receiver.failing = False


class Outages:
    """Everything that goes away in a run."""

    def __init__(self, place: Scene, chaos: Chaos, rng: random.Random) -> None:
        services, nudges = place.stack.services, place.nudges
        process = Target(
            services["process"], nudges["process"], chaos.kills, chaos.kill_every,
            chaos.freezes, freeze_seconds=run_lease_seconds(place.stack.database_url) + 2,
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
        """``share`` of the photos are done. Raises what kept a function from coming back."""
        if self._killer.trouble:
            raise self._killer.trouble
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
