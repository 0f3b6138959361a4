"""Rows of results, and how times are taken on a machine that others use as well."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; ``limit`` is what was promised, ``at_most`` says which way."""

    what: str
    value: float
    unit: str = "×"
    limit: float | None = None
    at_most: bool = True
    detail: str = ""

    @property
    def verdict(self) -> str:
        """``yes``, ``no``, or nothing where nothing was promised."""
        if self.limit is None:
            return ""
        return "yes" if (self.value <= self.limit) == self.at_most else "no"


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def alternated(calls: list[Callable[[], object]], rounds: int) -> list[float]:
    """Seconds of each call, taken in turns so that a busy minute meets all of them.

    The mean of the fastest third of the rounds: on a shared machine the slow ones tell about the
    neighbours.
    """
    for call in calls:
        call()
    times = [[seconds(call) for call in calls] for _ in range(rounds)]
    keep = max(1, rounds // 3)
    return [statistics.mean(sorted(column)[:keep]) for column in zip(*times, strict=True)]
