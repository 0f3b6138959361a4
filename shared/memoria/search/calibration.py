"""The search rule of a model, from how well strangers score on labelled photos. Arrays only."""

from dataclasses import replace

import numpy as np

from memoria.arrays import F32, F64, Index
from memoria.search.likeness import PEOPLE_MEASURED, Rule, background

DRAWS = 20
MOST_FACES = 8  # of one person in an event
FEWEST_PEOPLE = 10
LEAST_SLOPE = 0.01  # nats: as it is written down, over 0
TAIL = 0.02  # the best fiftieth of strangers' scores tells how the tail falls


def calibrated(rule: Rule, vectors: F32, people: Index, source: str) -> Rule:
    """The rule with demand and slope from these vectors.

    ``vectors`` (n, d) unit rows, ``people`` (n,) whose. Half of the people are in an event, the
    others' photos are strangers' selfies, again and again. A stranger's best score has an
    exponential tail: its mean excess is the slope, and where 1 in 1,000 lies follows from it. The
    demand is never less than the rule's own, which is the floor: a hundred people who happen not
    to look alike say nothing of the next event. Raises ValueError with fewer than ten people,
    or where there is no tail.
    """
    rng = np.random.default_rng(0)
    everybody = np.unique(people)
    if len(everybody) < FEWEST_PEOPLE:
        raise ValueError(
            f"search needs {FEWEST_PEOPLE} people to be calibrated, got {len(everybody)}"
        )
    best: list[F64] = []
    inside = len(everybody) // 2
    for _ in range(DRAWS):
        chosen = rng.permutation(everybody)[:inside]
        best.append(_best_scores(rule, vectors, people, chosen, rng))
    scores = np.concatenate(best)
    bar = float(np.quantile(scores, 1 - TAIL))
    over = scores[scores > bar] - bar
    if len(over) == 0:
        raise ValueError("search cannot be calibrated: the strangers are copies of each other")
    slope = max(float(np.mean(over)), LEAST_SLOPE)
    at_one_in_1000 = bar + slope * np.log(TAIL / 0.001)
    # told for 100 people; a smaller event than that never asks for less
    demand = at_one_in_1000 - slope * max(np.log(inside / PEOPLE_MEASURED), 0)
    return replace(
        rule, demand=round(max(demand, rule.demand), 2), slope=round(slope, 2), source=source
    )


def _best_scores(
    rule: Rule, vectors: F32, people: Index, chosen: Index, rng: np.random.Generator
) -> F64:
    """The best score of every photo of the people who are not chosen. -> (m,)."""
    faces = [rng.permutation(np.flatnonzero(people == who))[:MOST_FACES] for who in chosen]
    means = np.array([vectors[some].astype(np.float64).mean(axis=0) for some in faces])
    lengths = np.linalg.norm(means, axis=1)
    count = np.array([len(some) for some in faces], dtype=np.float64)
    zero = background(means)
    selfies = vectors[~np.isin(people, chosen)].astype(np.float64)
    similarity = selfies @ (means / lengths[:, None]).T
    scores: F64 = rule.score(similarity, (1.0, 1.0), count, lengths, zero).max(axis=1)
    return scores
