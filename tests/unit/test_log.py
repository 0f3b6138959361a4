import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from memoria import log, metrics

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What was written so far, once called."""
    logger, text = logging.getLogger("memoria"), io.StringIO()
    level = logger.level
    handler = logging.StreamHandler(text)
    handler.setFormatter(log.JsonLines())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in text.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_lines_begin_at_the_level_that_the_settings_name(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("memoria")
    before = logger.level, logger.propagate
    monkeypatch.setattr(logger, "handlers", [])
    log.configure("WARNING")
    assert not logger.isEnabledFor(logging.INFO)
    assert logger.isEnabledFor(logging.WARNING)
    logger.setLevel(before[0])
    logger.propagate = before[1]


def test_an_event_is_one_json_line_with_the_facts_around_it(lines: Lines) -> None:
    with log.bound(job_id="j", media_id=None):
        log.event("photo_done", faces=3)
    log.event("after")
    assert lines() == [
        {"severity": "INFO", "message": "photo_done", "job_id": "j", "faces": 3},
        {"severity": "INFO", "message": "after"},
    ]


def test_a_failure_carries_its_traceback_in_one_line(lines: Lines) -> None:
    try:
        raise ValueError("no")
    except ValueError:
        log.failure("broke")
    [line] = lines()
    assert line["severity"] == "ERROR"
    assert "ValueError: no" in line["traceback"]


def test_stage_times_are_told_with_the_request(lines: Lines) -> None:
    with log.timed():
        metrics.observe_stage("decode", 0.25)
        metrics.observe_stage("decode", 0.25)
        with metrics.stage("embed"):
            pass
        log.event("photo_done")
    [line] = lines()
    assert line["stages"]["decode"] == 0.5
    assert line["stages"]["embed"] >= 0


def test_the_trace_groups_lines_where_the_project_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert log.trace_of("abc/1;o=1") is None
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    assert log.trace_of("abc/1;o=1") == "projects/p/traces/abc"
    assert log.trace_of(None) is None
