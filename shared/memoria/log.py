"""JSON lines on standard output, as Cloud Logging reads them: one event, facts as fields.

Never the path of a URL, a secret or a vector: callers pass ids, counts, codes, times and origins.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_FACTS: ContextVar[dict[str, Any]] = ContextVar("facts", default={})  # noqa: B039 - never mutated
_LOGGER = logging.getLogger("memoria")


class JsonLines(logging.Formatter):
    """One JSON object a line: severity, message, facts, a traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record."""
        entry: dict[str, Any] = {"severity": record.levelname, "message": record.getMessage()}
        entry.update(_FACTS.get())
        entry.update(getattr(record, "facts", {}))
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def configure(level: str = "INFO") -> None:
    """Send memoria's log to standard output, from a level on; doing it twice changes nothing."""
    if _LOGGER.handlers:
        return
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(level)
    _LOGGER.propagate = False


@contextmanager
def bound(**facts: Any) -> Iterator[None]:
    """Add facts to every line logged inside the block."""
    token = _FACTS.set({**_FACTS.get(), **{k: v for k, v in facts.items() if v is not None}})
    try:
        yield
    finally:
        _FACTS.reset(token)


@contextmanager
def timed() -> Iterator[None]:
    """Add to every line logged inside the block how long its stages took so far, seconds."""
    with bound(stages={}):
        yield


def note_stage(name: str, seconds: float) -> None:
    """Add to the time of a stage; outside of ``timed`` nothing is kept."""
    stages = _FACTS.get().get("stages")
    if stages is not None:
        stages[name] = round(stages.get(name, 0.0) + seconds, 4)


def event(name: str, *, severity: int = logging.INFO, **facts: Any) -> None:
    """Log one event with its facts."""
    _LOGGER.log(severity, name, extra={"facts": facts})


def failure(name: str, **facts: Any) -> None:
    """Log an event with the traceback of the exception being handled."""
    _LOGGER.error(name, exc_info=True, extra={"facts": facts})


def trace_of(header: str | None) -> str | None:
    """``X-Cloud-Trace-Context`` -> the resource name that groups a request's log lines."""
    project = os.environ.get("GOOGLE_CLOUD_PROJECT")
    if not header or not project:
        return None
    return f"projects/{project}/traces/{header.partition('/')[0]}"
