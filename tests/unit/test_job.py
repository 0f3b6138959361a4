"""How a job ends whose work raised something."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from memoria.contracts import Json, ProcessRequest
from memoria.errors import MediaGone, MemoriaError, StoreUnavailable, Transient
from memoria.job import JobRunner
from memoria.store.jobs import Claim, Failed, PutOff, Skipped

CLAIM = Claim(
    job_id="job", token="t", event_id="event", media_id="photo", bucket="b", path="p",
    attempt=4, lease_seconds=60, payload=None, drawn={},
)  # fmt: skip
REQUEST = ProcessRequest(job_id="job", event_id="event", media_id="photo", media_url="https://x")
Ending = Failed | PutOff | Skipped | StoreUnavailable


class Jobs:
    """A job table that gives one claim, and ends it as a test says."""

    def __init__(self, ending: Ending) -> None:
        self.ending = ending
        self.told: MemoriaError | None = None

    def claim(self, *_: object, **__: object) -> Claim:
        return CLAIM

    @contextmanager
    def kept(self, _: Claim) -> Iterator[None]:
        yield

    def fail(self, _: Claim, error: MemoriaError) -> Failed | PutOff | Skipped:
        self.told = error
        if isinstance(self.ending, StoreUnavailable):
            raise self.ending
        return self.ending


class Nobody:
    """The app's callback and the sweeper, which these jobs do not need."""

    def soon(self, *_: object) -> None:
        pass


def run(jobs: Jobs, error: Exception) -> Json:
    def work(_: Claim) -> tuple[Skipped, Json]:
        raise error

    runner = JobRunner(jobs, Nobody(), Nobody())  # type: ignore[arg-type]
    return runner.run("process", REQUEST, work, nothing={"faces": []})


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.exc_text or str(record.exc_info) for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        (Failed(None), "failed"),
        (Skipped("lost"), "skipped"),
        (PutOff(None), None),
        (StoreUnavailable("the database did not answer"), None),
    ],
    ids=["last attempt", "lease lost", "put off", "not recorded"],
)
def test_a_bugs_traceback_is_logged_once_whatever_becomes_of_the_job(
    caplog: pytest.LogCaptureFixture, ending: Ending, status: str | None
) -> None:
    jobs = Jobs(ending)
    with caplog.at_level(logging.INFO, "memoria"):
        if status is None:
            with pytest.raises(MemoriaError):
                run(jobs, ZeroDivisionError("a bug of ours"))
        else:
            assert run(jobs, ZeroDivisionError("a bug of ours"))["status"] == status
    [traceback] = tracebacks(caplog)
    assert "a bug of ours" in traceback
    assert jobs.told is not None
    assert jobs.told.policy == "attempt"


def test_a_bug_is_answered_as_one_where_the_job_is_tried_again() -> None:
    with pytest.raises(MemoriaError) as told:
        run(Jobs(PutOff(None)), ZeroDivisionError("a bug of ours"))
    assert (told.value.code, told.value.status) == ("internal_error", 500)


def test_what_is_known_is_logged_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "memoria"):
        assert run(Jobs(Failed(None)), MediaGone("it is gone"))["error"]["code"] == "media_gone"
        with pytest.raises(Transient):  # just handed over: it may still arrive
            run(Jobs(PutOff(None)), MediaGone("it is gone"))
    assert tracebacks(caplog) == []
