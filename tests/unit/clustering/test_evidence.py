import numpy as np
import pytest

from memoria.clustering.crowd import Crowd
from memoria.clustering.evidence import LOOKS, SLOPE, Evidence, evidence_for
from memoria.clustering.groups import dots, groups_of
from memoria.clustering.thresholds import MEASURED, THRESHOLDS, Thresholds
from tests.unit.clustering.people import directions, look_alike, photos_of

USUAL = evidence_for(MEASURED)
ONE, OTHER = np.array([0]), np.array([1])


def of_groups(rows, group, evidence=USUAL, weight=None):
    weight = np.ones(len(rows), np.float32) if weight is None else np.asarray(weight, np.float32)
    groups = groups_of(np.asarray(rows, np.float32), weight, np.asarray(group), 2)
    return float(
        evidence.between(groups, ONE, OTHER, dots(groups.sums, ONE, groups.sums, OTHER))[0]
    )


def of_pair(similarity, evidence):
    return of_groups(look_alike(similarity), [0, 1], evidence)


def gaussian(rows, evidence):
    """Log density of rows of one person, by the covariance matrix that the model writes down."""
    n, dimensions = rows.shape
    covariance = (1 - evidence.shared) * np.eye(n) + evidence.shared
    covariance /= evidence.dimensions
    _, volume = np.linalg.slogdet(covariance)
    distance = np.einsum("id,ij,jd->", rows, np.linalg.inv(covariance), rows)
    return -0.5 * (distance + dimensions * volume)


def test_it_is_the_log_ratio_of_two_gaussian_models():
    evidence = Evidence(shared=0.4, dimensions=24.0)
    rows = np.random.default_rng(1).normal(size=(2, 24))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    one, other = rows[:1], rows[1:]
    expected = gaussian(rows, evidence) - gaussian(one, evidence) - gaussian(other, evidence)
    weight = np.ones(1)
    alone = [evidence.alone(weight, np.sum(each**2, axis=1)) for each in (one, other)]
    found = evidence.together(*alone, one[0] @ other.T)
    assert found[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("pack", sorted(THRESHOLDS))
def test_the_pack_s_thresholds_fix_the_zero_and_the_slope(pack):
    limits = THRESHOLDS[pack]
    evidence, band = evidence_for(limits), limits.margin
    assert of_pair(limits.link - band, evidence) == pytest.approx(0, abs=1e-3)
    assert of_pair(limits.sure, evidence) == pytest.approx(2 * SLOPE, abs=1e-3)


def test_thresholds_without_a_band_give_a_model_all_the_same():
    evidence = evidence_for(Thresholds(sure=0.4, link=0.4, source="made"))
    assert 0 < evidence.shared < 1
    assert np.isfinite(evidence.dimensions)


def test_it_does_not_matter_which_group_is_named_first():
    rows = np.concatenate([photos_of(one, 4, alike=0.6) for one in look_alike(0.3)])
    assert of_groups(rows, [0] * 4 + [1] * 4) == pytest.approx(of_groups(rows, [1] * 4 + [0] * 4))


def test_more_photos_of_one_person_say_more_and_of_two_less():
    def evidence(people, photos):
        rows = [photos_of(one, photos, alike=0.5, seed=seed) for seed, one in enumerate(people)]
        return of_groups(np.concatenate(rows), np.repeat([0, 1], photos))

    assert evidence(look_alike(0.95), 6) > evidence(look_alike(0.95), 2) > 0
    assert evidence(directions(2), 6) < evidence(directions(2), 2) < 0


def test_a_burst_is_worth_about_one_look():
    evidence = evidence_for(MEASURED)
    burst = photos_of(directions(1)[0], 12, alike=0.97)
    varied = photos_of(directions(1)[0], 12, alike=0.5)
    for rows, low, high in ((burst, 1, 1.5), (varied, 2.5, LOOKS)):
        groups = groups_of(rows, np.ones(12, np.float32), np.zeros(12, np.intp), 1)
        assert low <= evidence.looks(groups.weight, groups.square)[0] <= high


def test_two_bursts_of_one_person_are_not_two_people():
    rows = np.concatenate([photos_of(look, 12, alike=0.97) for look in look_alike(0.5)])
    assert of_groups(rows, [0] * 12 + [1] * 12) > 5


def test_a_poor_face_says_less():
    rows = look_alike(0.55)
    assert 0 < of_groups(rows, [0, 1], weight=[1, 0.25]) < of_groups(rows, [0, 1])


def test_in_a_crowd_of_look_alikes_the_same_similarity_means_less():
    usual = evidence_for(MEASURED)
    alike = usual.among(Crowd(zero=0.1), 0.0)
    wide = usual.among(Crowd(spread=1.3), 0.0)
    assert of_pair(0.45, alike) < of_pair(0.45, usual)
    assert 0 < of_pair(0.45, wide) < of_pair(0.45, usual)


@pytest.mark.parametrize("shift", [-0.1, 0.1, 0.2])
def test_leniency_is_a_similarity(shift):
    usual = evidence_for(MEASURED)
    shifted = usual.among(Crowd(), shift)
    assert of_pair(0.4 - shift, shifted) == pytest.approx(of_pair(0.4, usual), abs=1e-3)
