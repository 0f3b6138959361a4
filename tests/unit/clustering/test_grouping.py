from typing import Any

import numpy as np
import pytest

from benchmarks.grouping_scores import scores
from benchmarks.grouping_sets import lfw, outside, with_few, with_strangers
from memoria.clustering import group_faces, hdbscan_labels
from memoria.clustering.rows import unit_rows
from tests.unit.clustering.people import directions, look_alike, photos_of, stored


@pytest.fixture(scope="module")
def faces():
    lfw = stored("lfw_dev")
    return unit_rows(lfw["embedding"]), lfw["person"]


def of_the_most_photographed(faces, count):
    rows, person = faces
    return rows[person == np.bincount(person).argmax()][:count]


def test_nobody_is_grouped_where_nobody_is():
    assert group_faces(np.empty((0, 512), dtype=np.float32)).shape == (0,)


@pytest.mark.parametrize("count", [3, 4, 5, 20, 300])
def test_one_person_alone_is_one_group(faces, count):
    assert group_faces(of_the_most_photographed(faces, count)).tolist() == [0] * count


def test_two_faces_are_fewer_than_a_group_needs(faces):
    rows = of_the_most_photographed(faces, 2)
    assert group_faces(rows).tolist() == [-1, -1]
    assert group_faces(rows, min_cluster_size=2).tolist() == [0, 0]


def test_three_strangers_are_nobody_s_group(faces):
    rows, person = faces
    _, first = np.unique(person, return_index=True)
    assert group_faces(rows[first[:3]]).tolist() == [-1, -1, -1]


def test_the_same_photo_uploaded_ten_times_is_one_group(faces):
    rows = np.repeat(of_the_most_photographed(faces, 1), 10, axis=0)
    assert group_faces(rows).tolist() == [0] * 10


def test_the_order_of_the_faces_does_not_matter(faces):
    rows = faces[0][:600]
    order = np.random.default_rng(1).permutation(len(rows))
    photos, quality = np.arange(600) // 2, np.linspace(0.1, 1, 600)
    labels = group_faces(rows, photo_ids=photos, quality=quality)
    again = group_faces(rows[order], photo_ids=photos[order], quality=quality[order])
    assert np.array_equal(again, labels[order])


def test_the_order_of_equal_faces_does_not_matter(faces):
    rows = np.repeat(faces[0][:40], 3, axis=0)
    rng = np.random.default_rng(1)
    photos, quality = rng.integers(0, 60, len(rows)), rng.uniform(0, 1, len(rows))
    order = rng.permutation(len(rows))
    labels = group_faces(rows, photo_ids=photos, quality=quality)
    again = group_faces(rows[order], photo_ids=photos[order], quality=quality[order])
    assert np.array_equal(again, labels[order])


def test_groups_are_numbered_by_size(faces):
    labels = group_faces(faces[0][:1000])
    sizes = np.bincount(labels[labels >= 0])
    assert sizes.min() >= 3
    assert np.all(np.diff(sizes) <= 0)


def test_a_collage_of_one_person_stays_one_person(faces):
    rows = of_the_most_photographed(faces, 12)
    photos = [1, 1, 1, 2, 2, *range(3, 10)]
    assert np.count_nonzero(group_faces(rows, photo_ids=photos) == 0) >= 10


def two_bursts(similarity):
    """Six frames of each of two looks."""
    return np.concatenate([photos_of(look, 6, alike=0.95) for look in look_alike(similarity, 512)])


def test_two_bursts_at_similarity_052_are_one_person_unless_one_photo_shows_both():
    rows = two_bursts(0.52)
    assert len(set(group_faces(rows).tolist())) == 1
    side_by_side = [*range(6), 0, *range(7, 12)]
    assert len(set(group_faces(rows, photo_ids=side_by_side).tolist())) == 2


def test_siblings_seen_side_by_side_in_many_photos_are_two_people():
    another = photos_of(directions(3, 512)[2], 6, alike=0.95)
    rows = np.concatenate([two_bursts(0.7), another])
    assert len(set(hdbscan_labels(rows)[:12].tolist())) == 1
    labels = group_faces(rows, photo_ids=[*range(6), *range(6), *range(10, 16)])
    assert len(set(labels[:6].tolist())) == len(set(labels[6:12].tolist())) == 1
    assert labels[0] != labels[6]


def test_one_photo_that_shows_a_person_twice_does_not_part_real_people():
    faces = stored("outside_dev")
    for name in np.unique(faces["event"]):
        here = faces["event"] == name
        rows, quality = faces["embedding"][here], faces["quality"][here]
        person = faces["person"][here]
        photos = np.arange(len(rows))
        for one in np.unique(person):
            clear = np.flatnonzero((person == one) & (quality > 0.9))[:2]
            photos[clear] = photos[clear[0]]
        before, after = (
            scores(group_faces(rows, quality=quality, photo_ids=ids), person).bcubed
            for ids in (None, photos)
        )
        assert after > before - 0.04  # a second face of a photo may stay out, no person is split


def test_real_people_are_found_and_strangers_left_alone(faces):
    rows, person = faces
    chosen = person % 4 == 0
    labels, person = group_faces(rows[chosen]), person[chosen]
    stranger = np.bincount(person)[person] < 3
    assert np.mean(labels[stranger] >= 0) < 0.1
    for group in np.unique(labels[labels >= 0]):
        counts = np.bincount(person[labels == group])
        assert counts.max() >= 0.5 * counts.sum()
    assert np.mean(labels[~stranger] >= 0) > 0.95


def test_strangers_in_an_event_are_left_alone():
    stored("outside_dev")
    sets, crowd = outside("outside_dev"), lfw()
    few = [with_few(people, 0) for people in sets]
    beside = [with_strangers(people, crowd, 0) for people in sets]
    for events, precision, strangers in ((few, 0.98, 8), (beside, 0.99, 2)):
        found = [scores(group_faces(e.rows, quality=e.quality), e.person) for e in events]
        assert np.mean([one.precision for one in found]) >= precision
        assert sum(one.strangers_grouped for one in found) <= strangers


@pytest.mark.parametrize("name", ["photo_ids", "quality"])
def test_a_column_of_another_length_is_refused(name):
    short: dict[str, Any] = {name: [1, 1]}
    with pytest.raises(ValueError, match=name):
        group_faces(np.eye(8, dtype=np.float32), **short)


@pytest.mark.parametrize("event", ["asian", "five", "friends", "kpop", "pins", "worldcup"])
def test_people_outside_the_set_it_was_calibrated_on(event):
    faces = stored("outside_dev")
    here = faces["event"] == event
    rows, person = faces["embedding"][here], faces["person"][here]
    found = scores(group_faces(rows, quality=faces["quality"][here]), person)
    dense = scores(hdbscan_labels(rows), person)
    assert found.bcubed > max(dense.bcubed - 0.02, 0.87)
    assert found.precision > 0.95


def test_people_seen_in_bursts_are_not_torn_apart():
    faces = stored("outside_dev")
    here = np.flatnonzero(faces["event"] == "friends")[::3]
    rng = np.random.default_rng(0)
    frames = np.repeat(here, rng.integers(1, 7, len(here)))
    rows = unit_rows(faces["embedding"][frames].astype(np.float32))
    rows = unit_rows(rows + 0.01 * rng.normal(size=rows.shape))
    found = scores(group_faces(rows), faces["person"][frames])
    assert found.bcubed > 0.95


@pytest.mark.parametrize("name", ["outside_dev", "lfw_dev"])
def test_a_larger_epsilon_joins_more(name):
    faces = stored(name)
    rows = faces["embedding"][: len(faces["person"]) // 2]
    pairs = []
    for epsilon in (0.2, 0.3, 0.4, 0.5, 0.6):
        labels = group_faces(rows, epsilon=epsilon)
        sizes = np.bincount(labels[labels >= 0])
        pairs.append(int(np.sum(sizes * (sizes - 1)) // 2))
    assert pairs == sorted(pairs)
    assert pairs[1] < pairs[2] < pairs[3]
    assert pairs[0] < 0.98 * pairs[2]


@pytest.mark.parametrize("fewest", [2, 3, 5, 8])
def test_nobody_has_fewer_faces_than_asked_for(faces, fewest):
    labels = group_faces(faces[0][:1000], min_cluster_size=fewest)
    assert np.bincount(labels[labels >= 0]).min() >= fewest


def test_faces_like_nobody_found_nobody_but_may_join(faces):
    rows = of_the_most_photographed(faces, 6)
    poor, good = [0.01] * 3, [0.9] * 3
    assert group_faces(rows[:3], quality=poor).tolist() == [-1] * 3
    assert group_faces(rows[:5], quality=[*poor, 0.9, 0.9]).tolist() == [-1] * 5
    assert group_faces(rows, quality=[*good, *poor]).tolist() == [0] * 6


def test_a_copy_makes_no_person_of_two_who_look_alike():
    ann, bea = look_alike(0.4, 512)  # between link and sure
    rows = np.stack([ann, ann, bea])
    assert group_faces(rows, photo_ids=[0, 1, 2]).tolist() == [-1, -1, -1]
    assert group_faces(np.stack([ann, ann, look_alike(0.5, 512)[1]])).tolist() == [0, 0, 0]
    assert group_faces(np.stack([ann] * 3)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("alike", "is_one"), [(0.5, False), (0.75, True)])
def test_a_row_of_people_in_one_photo_is_no_person_and_a_collage_is_one(alike, is_one):
    someone, another = directions(2, 512)
    others = photos_of(another, 12, alike=0.6, seed=1)
    rows = np.concatenate([photos_of(someone, 12, alike=alike), others])
    assert len(set(hdbscan_labels(rows)[:12].tolist()) - {-1}) == 1
    labels = group_faces(rows, photo_ids=[0] * 12 + [*range(1, 13)])
    assert (np.count_nonzero(labels[:12] >= 0) == 12) == is_one
    assert is_one or set(labels[:12].tolist()) == {-1}


def test_a_person_of_enough_looks_is_one_however_many_shots_each_has():
    looks = photos_of(directions(1, 512)[0], 6, alike=0.4, seed=3)
    rows = np.concatenate([photos_of(look, 6, alike=0.97, seed=n) for n, look in enumerate(looks)])
    assert group_faces(rows, min_cluster_size=10).tolist() == [0] * 36
