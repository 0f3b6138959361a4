"""After an answer: the database is asked soon, rarely, and when it said that more falls due."""

import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from queue import Empty, Queue
from typing import Any

import httpx
import pytest
from supabase import Client, ClientOptions

from memoria.store.sweeper import Sweeper

PAUSE_SECONDS = 0.2
PATIENCE_SECONDS = 20


class Database:
    """Answers each call with the next of ``answers``, then that nothing falls due."""

    def __init__(self) -> None:
        self.answers: list[httpx.Response | RuntimeError] = []
        self.calls: Queue[float] = Queue()
        self.http = httpx.Client(transport=httpx.MockTransport(self._answer))
        client = Client("http://project.test", "k", ClientOptions(httpx_client=self.http))
        self.sweeper = Sweeper(client, PAUSE_SECONDS)

    def call(self) -> float:
        """When the next call came."""
        return self.calls.get(timeout=PATIENCE_SECONDS)

    def more(self) -> list[float]:
        """The calls until none comes in the time of three pauses."""
        calls = []
        with suppress(Empty):
            while True:
                calls.append(self.calls.get(timeout=3 * PAUSE_SECONDS))
        return calls

    def _answer(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/rest/v1/rpc/memoria_sweep_if_due"
        self.calls.put(time.monotonic())
        answer = self.answers.pop(0) if self.answers else again(None)
        if isinstance(answer, RuntimeError):
            raise answer
        return answer


def again(seconds: float | None) -> httpx.Response:
    told: dict[str, Any] = {"swept": False, "dispatched": 0, "again_in_seconds": seconds}
    return httpx.Response(200, json=told)


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database()
    yield made
    made.http.close()


def test_many_answers_make_few_calls_with_a_pause_between(database: Database) -> None:
    for _ in range(5):
        for _ in range(50):
            database.sweeper.soon()
        time.sleep(PAUSE_SECONDS / 10)
    calls = [database.call(), *database.more()]
    assert 1 < len(calls) < 10
    assert all(later - earlier >= PAUSE_SECONDS for earlier, later in pairwise(calls))


def test_what_falls_due_later_is_asked_for_then_without_another_answer(database: Database) -> None:
    database.answers = [again(3 * PAUSE_SECONDS), again(0)]
    database.sweeper.soon()
    first, second, third = database.call(), database.call(), database.call()
    assert second - first >= 3 * PAUSE_SECONDS
    assert third - second >= PAUSE_SECONDS  # it is due already: still no hammering
    assert not database.more()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_ends_the_thread_and_the_next_answer_starts_another(database: Database) -> None:
    database.answers = [RuntimeError("a bug")]
    database.sweeper.soon()
    database.call()
    assert not database.more()
    database.sweeper.soon()
    database.call()


def test_trouble_ends_nothing_and_the_next_answer_asks_again(database: Database) -> None:
    trouble = {"code": "XX000", "message": "no", "details": None, "hint": None}
    database.answers = [httpx.Response(503, json=trouble)]
    database.sweeper.soon()
    database.call()
    assert not database.more()
    database.sweeper.soon()
    database.call()
