"""How far the answer hangs on every constant of the second pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

from memoria.clustering import (
    crowd,
    evidence,
    quality,
    refinement,
    same_photo,
    settling,
    thresholds,
)

# what it is, where it stands, what it is set to besides
MOVED: list[tuple[ModuleType, str, tuple[float, ...]]] = [
    (evidence, "SLOPE", (2.5, 3.7)),
    (evidence, "LOOKS", (3.2, 4.8)),
    (refinement, "PER_LOG_FACE", (0.65, 0.95)),
    (refinement, "FREE", (0.7, 2.3)),
    (refinement, "MOST", (0.8, 1.0)),
    (refinement, "STEP", (3.0, 5.0)),
    (refinement, "TRIES", (3, 6)),
    (settling, "LIKELIER", (0.4, 0.6)),
    (settling, "ROUNDS", (2, 5)),
    (settling, "CLEAR", (0.8, 0.95)),
    (settling, "SPEAKS", (0.5, 1.0, 2.0)),
    (quality, "LEAST_WEIGHT", (0.2, 0.3)),
    (quality, "LIKE_NOBODY", (0.0, 0.05)),
    (crowd, "DOUBT", (1.0, 4.0)),
    (crowd, "FEWEST_GROUPS", (3, 6)),
    (crowd, "HIGHEST", (0.2, 0.4)),
    (crowd, "NOISE", (0.0, 0.1)),
    (crowd, "SAMPLE", (128, 512)),
    (crowd, "LOW_TAIL", (0.01, 0.05)),
    (same_photo, "NATS", (9.0, 15.0)),
]
SHIFTED = [("sure", -0.02), ("sure", 0.02), ("link", -0.02), ("link", 0.02)]


def variants() -> Iterator[tuple[str, list[tuple[Any, str, Any]]]]:
    """Names, and what to set where."""
    yield "as shipped", []
    for module, name, values in MOVED:
        for value in values:
            yield f"{name} {getattr(module, name):g} → {value:g}", [(module, name, value)]
    for name, by in SHIFTED:
        pack = "scrfd2.5g_mobilefacenet"
        limits = replace(thresholds.MEASURED, **{name: getattr(thresholds.MEASURED, name) + by})
        packs = thresholds.THRESHOLDS | {pack: limits}
        yield f"{name} {by:+.2f}", [(thresholds, "THRESHOLDS", packs)]


@contextmanager
def with_constants(settings: list[tuple[Any, str, Any]]) -> Iterator[None]:
    """Sets module constants for a while."""
    before = [(module, name, getattr(module, name)) for module, name, _ in settings]
    for module, name, value in settings:
        setattr(module, name, value)
    evidence.evidence_for.cache_clear()
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
        evidence.evidence_for.cache_clear()
