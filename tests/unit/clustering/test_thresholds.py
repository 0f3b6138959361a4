import numpy as np
import pytest

from memoria.clustering.thresholds import (
    THRESHOLDS,
    similarity_at,
    thresholds_for,
    thresholds_from_pairs,
    true_accepts,
)


def test_thresholds_lie_where_strangers_become_rare():
    rng = np.random.default_rng(0)
    different, same = rng.normal(0, 0.1, 400_000), rng.normal(0.7, 0.1, 10_000)
    found = thresholds_from_pairs(same, different, source="made")
    assert np.mean(different >= found.sure) == pytest.approx(1 / 20_000, rel=0.1)
    assert np.mean(different >= found.link) == pytest.approx(1 / 2_000, rel=0.1)
    assert found.source == "made"
    assert true_accepts(same, found.sure) > 0.99


def test_a_model_whose_similarities_are_crowded_gets_small_margins():
    rng = np.random.default_rng(0)
    found = thresholds_from_pairs(
        rng.normal(0.96, 0.01, 1_000), rng.normal(0.89, 0.02, 50_000), source="made"
    )
    assert found.margin == pytest.approx(0.012, rel=0.1)
    assert found.link - found.width == pytest.approx(found.margin / 2)


def test_too_few_pairs_are_refused():
    with pytest.raises(ValueError, match="calibration needs"):
        thresholds_from_pairs([0.7], [0.1] * 999, source="made")


@pytest.mark.parametrize("similarity", [1.0, 0.0, -0.2])
def test_what_the_setting_would_refuse_is_not_measured(similarity):
    with pytest.raises(ValueError, match="under two names"):
        thresholds_from_pairs([0.7], [similarity] * 2000, source="made")


def test_the_similarity_at_a_rate_is_reached_by_that_part():
    assert similarity_at(np.linspace(0, 1, 101), 0.1) == pytest.approx(0.9)


@pytest.mark.parametrize("model", THRESHOLDS)
def test_every_threshold_names_its_source(model):
    assert thresholds_for(model).source
    assert thresholds_for(model).link <= thresholds_for(model).sure


def test_what_was_measured_on_a_users_photos_wins():
    found = thresholds_for("buffalo_l", {"buffalo_l": (0.5, 0.4)})
    assert (found.sure, found.link, found.verified) == (0.5, 0.4, True)
    assert thresholds_for("buffalo_m", {"buffalo_l": (0.5, 0.4)}) == THRESHOLDS["buffalo_m"]


def test_an_unknown_model_still_gets_an_answer():
    assert thresholds_for("somebody's own") == thresholds_for(None)
