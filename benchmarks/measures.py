"""Rows of results, and how times are taken on a machine that others use as well."""

import resource
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

# ONNX Runtime's threads go on spinning after a run, for the next one: by default, not in ours. Who
# is measured right after must not pay for that: a sixth of the time of one photo.
SETTLING_SECONDS = 0.1
STEADY = 1.1  # how many times as long one half of the rounds may take as the other


class Unsteady(Exception):
    """The repeats of one thing disagree: the machine was busy, and no figure of it counts."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; ``limit`` is what was promised, ``at_most`` says which way.

    ``value``: None where nothing could be measured.
    """

    what: str
    value: float | None
    unit: str = "×"
    limit: float | None = None
    at_most: bool = True
    detail: str = ""

    @property
    def verdict(self) -> str:
        """``yes``, ``no``, or nothing where nothing was promised or measured."""
        if self.limit is None or self.value is None:
            return ""
        reached = self.value <= self.limit if self.at_most else self.value >= self.limit
        return "yes" if reached else "no"


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def cpu_of_children(call: Callable[[], object]) -> float:
    """CPU seconds of the processes that a call starts and waits for: the same on a busy machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    call()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def alternated(
    calls: list[Callable[[], object]],
    rounds: int,
    clock: Callable[[Callable[[], object]], float] = seconds,
    *,
    steady: float | None = None,
) -> list[float]:
    """What each call takes by the clock, in turns so that a busy minute meets all of them.

    Raises Unsteady where one half of a call's rounds took over ``steady`` times as long as the
    other: rounds in turns belong to either.
    """

    def settled(call: Callable[[], object]) -> float:
        time.sleep(SETTLING_SECONDS)
        return clock(call)

    for call in calls:
        call()
    times = [[settled(call) for call in calls] for _ in range(rounds)]
    columns = list(zip(*times, strict=True))
    for column in columns if steady else ():
        halves = sorted((quickest(column[: rounds // 2]), quickest(column[rounds // 2 :])))
        if halves[1] > (steady or 0) * halves[0]:
            raise Unsteady(f"repeats took {halves[0]:.3f} s and {halves[1]:.3f} s")
    return [quickest(column) for column in columns]


def quickest(times: Iterable[float]) -> float:
    """The mean of the fastest third: on a shared machine the slow ones tell about neighbours."""
    ordered = sorted(times)
    return statistics.mean(ordered[: max(1, len(ordered) // 3)])
