"""How alike the people of an event are, whoever they are: its zero and its spread.

One casting, one family, one light, masks or few pixels make faces alike, and then a similarity
means less. Both are measured on the event's own strangers: on faces and groups that the first pass
has apart.
"""

from dataclasses import dataclass

import numpy as np

from memoria.arrays import F32, Index
from memoria.clustering.groups import Groups, counted

FEWEST_GROUPS = 4  # fewer people say nothing of a crowd
DOUBT = 2.0  # k groups are believed k/(k + DOUBT)
HIGHEST = 0.3  # zero
NOISE = 0.05  # what chance does to a measured spread
SAMPLE = 256  # faces
LOW_TAIL, DEVIATIONS = 0.02, 2.054  # of a normal distribution


@dataclass(frozen=True, slots=True)
class Crowd:
    """How the event differs from what the thresholds were measured on; 0 and 1: not at all."""

    zero: float = 0.0  # 0..0.3, mean similarity of two people
    spread: float = 1.0  # 1 or more: deviation of strangers' similarities, over the usual one


def crowd_of(
    rows: F32, first: Index, usual_spread: float, groups_there: Groups | None = None
) -> Crowd:
    """(n, d) unit rows, (n,) labels of the first pass, deviation of strangers' similarities.

    ``groups_there``: the labels' groups as `counted` has them, where they are known.
    """
    groups = int(first.max(initial=-1)) + 1
    if groups < FEWEST_GROUPS:
        return Crowd()
    trust = groups / (groups + DOUBT)
    alike = _between(groups_there or counted(rows, first, groups))
    zero = float(np.clip(trust * alike, 0, HIGHEST))
    wider = max(_spread(rows, first) / usual_spread - 1 - NOISE, 0)
    return Crowd(zero, 1 + trust * wider)


def _between(found: Groups) -> float:
    """The mean similarity of two of the first pass's groups."""
    groups = len(found.weight)
    means = found.sums / found.weight[:, None]
    total = means.sum(axis=0, dtype=np.float64)
    apart = total @ total - np.einsum("ij,ij->", means, means, dtype=np.float64)
    return float(apart) / (groups * (groups - 1))


def _spread(rows: F32, first: Index) -> float:
    """The deviation of similarities of faces that the first pass has apart.

    By the lower tail alone: in the upper one are people whom the first pass tore apart. Of a sample
    that is spread evenly over the canonical order, which knows nothing of people.
    """
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE)).astype(np.intp)
    one, other = chosen[::2], chosen[1::2]  # of two halves no pair is met twice
    apart = (first[one, None] < 0) | (first[one, None] != first[other])
    if not apart.any():
        return 0.0
    similarity = (rows[one] @ rows[other].T)[apart]
    low, middle = np.quantile(similarity, [LOW_TAIL, 0.5])
    return float(middle - low) / DEVIATIONS
