"""Rows of results, and how times are taken on a machine that others use as well."""

import resource
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

# ONNX Runtime's threads go on spinning after a run, for the next one: by default, not in ours. Who
# is measured right after must not pay for that: a sixth of the time of one photo.
SETTLING_SECONDS = 0.1
STEADY = 1.1  # how far the halves of the rounds may disagree about a ratio


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

    Raises Unsteady where one half of the rounds says over ``steady`` times as much as the other of
    how long a call takes beside the first one; of a single call, of how long it takes.
    """

    def settled(call: Callable[[], object]) -> float:
        time.sleep(SETTLING_SECONDS)
        return clock(call)

    for call in calls:
        call()
    times = [[settled(call) for call in calls] for _ in range(rounds)]
    columns = list(zip(*times, strict=True))
    if steady:
        _compare_halves(columns, steady)
    return [quickest(column) for column in columns]


def _compare_halves(columns: list[tuple[float, ...]], steady: float) -> None:
    """Rounds in turns: a slower half that slows all calls alike tells the same of all ratios."""
    middle = len(columns[0]) // 2
    halves = [[quickest(column[part]) for column in columns]
              for part in (slice(middle), slice(middle, None))]  # fmt: skip
    for call, (one, other) in enumerate(zip(*halves, strict=True)):
        alone = len(columns) == 1
        told = (one, other) if alone else (one / halves[0][0], other / halves[1][0])
        if max(told) > steady * min(told):
            unit = " s" if alone else f" of the first for call {call + 1}"
            raise Unsteady(f"repeats took {min(told):.3f} and {max(told):.3f}{unit}")


def quickest(times: Iterable[float]) -> float:
    """The mean of the fastest third: on a shared machine the slow ones tell about neighbours."""
    ordered = sorted(times)
    return statistics.mean(ordered[: max(1, len(ordered) // 3)])
