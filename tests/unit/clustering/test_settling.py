from dataclasses import replace

import numpy as np

from memoria.clustering.evidence import evidence_for
from memoria.clustering.refinement import Limits, demand_of, settled_within
from memoria.clustering.settling import settled
from memoria.clustering.thresholds import MEASURED
from tests.unit.clustering.people import directions, faces_of, photos_of

EVIDENCE = evidence_for(MEASURED)
ANN, BEA, STRANGER = directions(3)


def two_people(*more):
    """Six photos of Ann, six of Bea, then more faces; Ann's group is 0, Bea's 6, others alone."""
    rows = [photos_of(ANN, 6, alike=0.7, seed=1), photos_of(BEA, 6, alike=0.7, seed=2)]
    rows = np.concatenate([*rows, *[np.atleast_2d(face) for face in more]]).astype(np.float32)
    group = np.concatenate([np.repeat([0, 6], 6), np.arange(12, len(rows))])
    return rows, group


def test_a_face_left_over_goes_to_its_person():
    rows, group = two_people(photos_of(BEA, 1, alike=0.5))
    assert settled(faces_of(rows), group, EVIDENCE, 3)[12] == 6


def test_a_face_in_the_wrong_group_moves():
    rows, group = two_people(photos_of(BEA, 1, alike=0.6))
    group[12] = 0
    assert settled(faces_of(rows), group, EVIDENCE, 3)[12] == 6


def test_a_stranger_stays_nobody_s():
    rows, group = two_people(STRANGER)
    assert settled(faces_of(rows), group, EVIDENCE, 3)[12] == 12


def test_a_face_between_two_people_stays_nobody_s():
    middle = ANN + BEA
    rows, group = two_people(0.45 * middle / np.linalg.norm(middle) + 0.89 * STRANGER)
    assert settled(faces_of(rows), group, EVIDENCE, 3)[12] == 12


def test_faces_that_found_nobody_pull_no_mean():
    blurs = photos_of(BEA, 12, alike=0.9, seed=5)
    rows = np.concatenate([photos_of(ANN, 6, alike=0.7), blurs, photos_of(BEA, 1, alike=0.6)])
    group = np.append(np.zeros(18, np.intp), 18)  # a dozen blurs of Bea went to Ann
    founds = np.r_[np.ones(6, bool), np.zeros(12, bool), True]
    assert settled(faces_of(rows, founds=founds), group, EVIDENCE, 3)[18] == 18
    assert settled(faces_of(rows), group, EVIDENCE, 3)[18] == 0


def test_of_two_faces_of_one_photo_the_likelier_joins():
    rows, group = two_people(0.75 * ANN + 0.66 * STRANGER, 0.47 * ANN + 0.88 * STRANGER)
    photos = np.append(np.arange(12), [12, 12])
    assert settled(faces_of(rows), group, EVIDENCE, 3)[12:].tolist() == [0, 0]
    assert settled(faces_of(rows, photos=photos), group, EVIDENCE, 3)[12:].tolist() == [0, 13]


def test_a_clear_bystander_is_taken_in_by_no_share():
    rows, group = two_people(0.36 * ANN + 0.93 * STRANGER)
    weight = np.append(np.ones(12), 1)
    assert settled(faces_of(rows, weight=weight), group, EVIDENCE, 3)[12] == 12
    weight[12] = 0.6
    assert settled(faces_of(rows, weight=weight), group, EVIDENCE, 3)[12] == 0


def test_no_face_comes_back_that_makes_a_group_too_wide_for_one_person():
    core, far = photos_of(ANN, 4, alike=0.6, seed=1), photos_of(ANN, 24, alike=0.12, seed=2)
    rows, group = np.concatenate([core, far]), np.append(np.zeros(4, np.intp), np.arange(4, 28))
    faces = faces_of(rows, weight=np.r_[np.ones(4), np.full(24, 0.25)].astype(np.float32))
    limits = Limits(demand_of(len(rows)), MEASURED.width, 3)
    lenient = replace(EVIDENCE, leniency=0.2)
    assert np.count_nonzero(settled(faces, group, lenient, 3) == 0) > 8
    assert settled_within(faces, group, lenient, limits).tolist() == group.tolist()
