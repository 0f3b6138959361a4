import threading
import time

import pytest

from memoria.errors import Busy, MediaTooLarge
from memoria.media.budget import MemoryBudget


def test_what_is_more_than_there_ever_is_is_refused() -> None:
    with pytest.raises(MediaTooLarge, match="MiB"), MemoryBudget(100, 10).hold(101):
        pass


def test_large_ones_wait_for_each_other_and_small_ones_do_not() -> None:
    budget = MemoryBudget(100, 10)
    order: list[str] = []

    def other() -> None:
        with budget.hold(60):
            order.append("second large")

    with budget.hold(60):
        waiting = threading.Thread(target=other)
        waiting.start()
        with budget.hold(10):
            order.append("small")
        with budget.hold(40):
            order.append("fits beside")
        time.sleep(0.05)
        order.append("first large ends")
    waiting.join(timeout=60)
    assert order == ["small", "fits beside", "first large ends", "second large"]


def test_an_error_gives_back_what_was_held() -> None:
    budget = MemoryBudget(100, 10)
    for _ in range(3):
        with pytest.raises(RuntimeError), budget.hold(100):
            raise RuntimeError


def test_waiting_ends_with_its_deadline() -> None:
    budget = MemoryBudget(100, 10)
    with (
        budget.hold(60),
        pytest.raises(Busy, match="memory"),
        budget.hold(60, time.monotonic() + 0.05),
    ):
        pass
    with budget.hold(100, time.monotonic() + 0.05):
        pass
