import numpy as np
import pytest

from memoria.clustering import group_faces
from memoria.clustering.refinement import Faces, refined
from memoria.clustering.rows import unit_rows
from memoria.clustering.same_photo import Photos
from memoria.clustering.thresholds import Thresholds
from tests.data import LFW, there


@pytest.fixture(scope="module")
def faces():
    stored = np.load(there(LFW))
    return unit_rows(stored["embedding"]), stored["person"]


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


def test_groups_are_numbered_by_size(faces):
    labels = group_faces(faces[0][:1000])
    sizes = np.bincount(labels[labels >= 0])
    assert sizes.min() >= 3
    assert np.all(np.diff(sizes) <= 0)


def test_a_collage_of_one_person_stays_one_person(faces):
    rows = of_the_most_photographed(faces, 12)
    photos = [1, 1, 1, 2, 2, *range(3, 10)]
    assert np.count_nonzero(group_faces(rows, photo_ids=photos) == 0) >= 10


def test_faces_of_one_photo_must_be_more_alike_to_be_one_person():
    one, other = 0.52, np.sqrt(1 - 0.52**2)
    ann, bea = np.zeros(512), np.zeros(512)
    ann[0], bea[0], bea[1] = 1, one, other
    rng = np.random.default_rng(2)
    rows = np.concatenate([np.tile(ann, (6, 1)), np.tile(bea, (6, 1))])
    rows = unit_rows(rows + 0.01 * rng.normal(size=rows.shape))
    together = [*range(6), *range(6)]
    assert len(set(group_faces(rows).tolist())) == 1
    assert len(set(group_faces(rows, photo_ids=together).tolist())) == 2


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


@pytest.mark.parametrize("name", ["photo_ids", "quality"])
def test_a_column_of_another_length_is_refused(name):
    with pytest.raises(ValueError, match=name):
        group_faces(np.eye(8, dtype=np.float32), **{name: [1, 1]})


def test_who_is_less_alike_than_the_link_stays_out_although_density_had_it_inside():
    thresholds = Thresholds(sure=0.44, link=0.36, source="made")
    rng = np.random.default_rng(3)
    rows = np.zeros((14, 512))
    rows[:12, 0] = 1
    rows[:12] += 0.01 * rng.normal(size=(12, 512))
    rows[12, :2] = 0.40, np.sqrt(1 - 0.40**2)  # between the two thresholds
    rows[13, [0, 2]] = 0.33, np.sqrt(1 - 0.33**2)
    faces = Faces(
        unit_rows(rows), np.ones(14, np.float32), Photos(None), (np.arange(0), np.arange(0))
    )
    labels = refined(faces, np.zeros(14, dtype=np.intp), thresholds, 3)
    assert labels.tolist() == [*[labels[0]] * 13, -1]
