"""The score of a selfie, and when it is enough."""

import math
from dataclasses import replace

import numpy as np
import pytest

from memoria.search.likeness import Rule, background

RULE = Rule(shared=0.5, dimensions=60, demand=6, slope=1.3, belongs=0.4, source="a test")
ONE = np.ones(1)


def score(
    similarity: float,
    *,
    faces: float = 8,
    mean_length: float = 0.75,
    weight: float = 1,
    zero: float = 0,
) -> float:
    found = RULE.score(np.array([similarity]), (weight, 1.0), faces * ONE, mean_length * ONE, zero)
    return float(found[0])


def test_more_alike_is_likelier_and_by_as_much() -> None:
    scores = [score(similarity) for similarity in (0.0, 0.2, 0.4, 0.6)]
    assert np.diff(scores) == pytest.approx([scores[1] - scores[0]] * 3)
    assert scores[0] < 0 < scores[-1]


def test_a_person_of_many_faces_says_more_than_one_of_few() -> None:
    assert score(0.6, faces=8) > score(0.6, faces=1, mean_length=1)


def test_a_better_selfie_says_more() -> None:
    assert score(0.6, weight=1) > score(0.6, weight=0.5)
    assert score(0.0, weight=1) < score(0.0, weight=0.5)


def test_where_everybody_is_alike_a_similarity_says_less() -> None:
    assert score(0.5, zero=0.1) < score(0.5)


def test_large_events_ask_for_more_small_ones_never_for_less() -> None:
    assert RULE.sure(10) == RULE.sure(100) == 6
    assert RULE.sure(1000) == pytest.approx(6 + 1.3 * math.log(10))


def test_a_strangers_chance_falls_with_the_score_and_rises_with_the_event() -> None:
    scores = np.array([-100, 2.0, 6.0, 7.3, 1000])
    chance = RULE.chance(scores, 100)
    assert chance[0] == 1
    assert chance[2:4] == pytest.approx([0.001, 0.001 / math.e])
    assert np.all(np.diff(chance) <= 0)
    assert RULE.chance(scores, 1000)[2] == pytest.approx(0.01)
    assert RULE.chance(np.array([RULE.maybe(500)]), 500)[0] == pytest.approx(0.02)
    assert replace(RULE, fpir=0.0001).sure(500) > RULE.sure(500) > RULE.maybe(500)


def test_background_is_how_alike_people_are() -> None:
    apart = np.eye(6, 512)
    assert background(apart) == 0
    alike = apart + 0.5
    assert 0 < background(alike / np.linalg.norm(alike, axis=1, keepdims=True)) <= 0.3
    assert background(alike[:3]) == 0
