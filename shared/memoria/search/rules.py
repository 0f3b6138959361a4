"""The search rule of each model, with its source."""

from dataclasses import replace
from typing import TYPE_CHECKING

from memoria.clustering.evidence import SLOPE, evidence_for
from memoria.clustering.thresholds import UNVERIFIED, Thresholds, thresholds_for
from memoria.search.likeness import Rule

if TYPE_CHECKING:
    from memoria.config import Settings

SMALL_PACK = "scrfd2.5g_mobilefacenet"
MEASURED = {SMALL_PACK: (6.5, 1.3)}  # model -> demand, slope
SOURCE = "python -m benchmarks.selfie_search"
# A pack that nobody measured here: evidence is told in the units of the pack's own similarities, so
# the measured demand holds nearly; what is not known costs a similarity of 0.05 more.
UNMEASURED_SIMILARITY = 0.05


def rule_for(model: str, settings: "Settings") -> Rule:
    """The rule of a model: as configured (SEARCH_THRESHOLDS), measured here, or shifted."""
    thresholds = thresholds_for(model, settings.similarity_thresholds)
    rule = replace(measured_rule(model, thresholds), fpir=settings.search_fpir)
    if model not in settings.search_thresholds:
        return rule
    demand, slope = settings.search_thresholds[model]
    return replace(rule, demand=demand, slope=slope, source="SEARCH_THRESHOLDS")


def measured_rule(model: str, thresholds: Thresholds) -> Rule:
    """What was measured for a model, or the small pack's rule with a higher demand."""
    evidence = evidence_for(thresholds)
    demand, slope = MEASURED.get(model, MEASURED[SMALL_PACK])
    if model not in MEASURED:
        demand += UNMEASURED_SIMILARITY * SLOPE / thresholds.margin
    return Rule(
        shared=evidence.shared,
        dimensions=evidence.dimensions,
        demand=demand,
        slope=slope,
        belongs=thresholds.link,
        source=SOURCE if model in MEASURED else UNVERIFIED,
    )
