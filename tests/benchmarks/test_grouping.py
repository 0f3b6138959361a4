"""What the grouping benchmark counts, and that it leaves the library as it was."""

import numpy as np
import pytest

from benchmarks.grouping_constants import variants, with_constants
from benchmarks.grouping_peers import without_small
from benchmarks.grouping_scores import by_face, resampled, scores
from benchmarks.grouping_sets import Event, drawn, in_bursts, with_few
from memoria.clustering import evidence
from memoria.clustering.evidence import evidence_for
from memoria.clustering.thresholds import MEASURED

PERSON = np.array([0, 0, 0, 1, 1, 1, 2])


def crowd(people: int, photos: int) -> Event:
    rows = np.random.default_rng(0).normal(size=(people * photos, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Event("made", "made", rows, np.repeat(np.arange(people), photos), None)


def test_scores_of_a_grouping_worked_out_by_hand() -> None:
    labels = np.array([0, 0, -1, 0, 1, 1, -1])
    precision, recall = by_face(labels, PERSON)
    assert precision == pytest.approx([2 / 3, 2 / 3, 1, 1 / 3, 1, 1, 1])
    assert recall == pytest.approx([2 / 3, 2 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1])
    found = scores(labels, PERSON)
    assert found.bcubed == pytest.approx(
        2 * precision.mean() * recall.mean() / (precision.mean() + recall.mean())
    )
    assert found.pairwise == pytest.approx(2 * 2 / (4 + 6))
    assert (found.strangers_grouped, found.groups) == (0, 2)


def test_the_interval_of_a_perfect_grouping_is_a_point() -> None:
    assert resampled(PERSON, PERSON) == pytest.approx(1.0)


def test_the_interval_holds_the_score() -> None:
    labels = np.where(np.arange(70) < 17, -1, np.arange(70) // 7)
    person = np.arange(70) // 7
    low, high = np.quantile(resampled(labels, person), [0.025, 0.975])
    assert low < scores(labels, person).bcubed < high


def test_small_groups_are_nobody_s() -> None:
    assert without_small(np.array([5, 5, 5, 7, 7, 9])).tolist() == [0, 0, 0, -1, -1, -1]


def test_every_variant_is_taken_back() -> None:
    before = evidence_for(MEASURED)
    for _, settings in variants():
        with with_constants(settings):
            pass
        assert evidence_for(MEASURED) == before
    with with_constants([(evidence, "SLOPE", 2.0)]):
        assert evidence_for(MEASURED) != before


def test_events_have_the_faces_they_are_named_for() -> None:
    pool = crowd(people=20, photos=12)
    for event in drawn(pool, {30: 4, 100: 2}):
        assert event.kind == f"drawn {len(event.rows)}"
    few = with_few(pool, 0)
    assert sorted(np.bincount(few.person)) == [2] * 10 + [12] * 10
    bursts = in_bursts(pool, 0)
    assert 80 < len(bursts.rows) <= 80 * 6
