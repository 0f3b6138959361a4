import numpy as np
import pytest

from memoria.clustering.agglomeration import agglomerated, with_copies_joined
from memoria.clustering.evidence import Evidence, evidence_for
from memoria.clustering.grouping import near_pairs
from memoria.clustering.groups import Faces, dots, groups_of, sizes
from memoria.clustering.neighbours import nearest_neighbours
from memoria.clustering.quality import face_weights
from memoria.clustering.rows import unit_rows
from memoria.clustering.same_photo import SharedPhotos
from memoria.clustering.thresholds import MEASURED
from tests.unit.clustering.people import directions, faces_of, look_alike, photos_of, stored

EVIDENCE = evidence_for(MEASURED)


@pytest.fixture(scope="module")
def crowd():
    """20 people with six photos each; some are hard to tell."""
    people = directions(20)
    rows = [photos_of(one, 6, alike=0.45, seed=seed) for seed, one in enumerate(people)]
    return faces_of(np.concatenate(rows))


def test_it_ends_where_no_pair_meets_the_demand(crowd):
    n = len(crowd.rows)
    group = agglomerated(crowd, np.arange(n), EVIDENCE, 3.0)
    groups = groups_of(crowd.rows, crowd.weight, group, n)
    one, other = np.triu_indices(n, 1)
    alive = (groups.weight[one] > 0) & (groups.weight[other] > 0)
    one, other = one[alive], other[alive]
    left = EVIDENCE.between(groups, one, other, dots(groups.sums, one, groups.sums, other))
    assert left.max() < 3.0
    assert len(np.unique(group)) < n


def in_plain_words(faces, group, evidence, demand):
    """Joining as it is meant: every pair weighed anew in every round, the best ones sorted."""
    n = len(group)
    while True:
        groups = groups_of(faces.rows, faces.weight, group, n)
        pairs = {tuple(sorted(pair)) for pair in zip(*group[np.stack(faces.near)], strict=True)}
        one, other = np.array(sorted(pair for pair in pairs if pair[0] != pair[1])).T
        found = evidence.between(groups, one, other, dots(groups.sums, one, groups.sums, other))
        found -= faces.photos.against_groups(group, one, other)
        weight = groups.weight[one] * groups.weight[other]
        rank = found / np.sqrt(weight / (groups.weight[one] + groups.weight[other]))
        best: dict[int, int] = {}
        for pair in np.argsort(np.where(found >= demand, rank, -np.inf), kind="stable"):
            best[one[pair]] = best[other[pair]] = pair
        mutual = [p for p in set(best.values()) if best[one[p]] == best[other[p]] == p]
        mutual = [pair for pair in mutual if found[pair] >= demand]
        if not mutual:
            return group
        for pair in mutual:
            group = np.where(group == other[pair], one[pair], group)


@pytest.mark.parametrize("event", ["five", "kpop"])
def test_it_joins_what_a_plain_loop_joins(event):
    faces = stored("outside_dev")
    here = np.flatnonzero(faces["event"] == event)
    rows = unit_rows(faces["embedding"][here].astype(np.float32))
    lists = nearest_neighbours(rows, 8)
    photos = SharedPhotos(np.random.default_rng(0).integers(0, len(rows), len(rows)))
    weight, founds = face_weights(faces["quality"][here], len(rows))
    some = Faces(rows, weight, founds, photos, *near_pairs(lists)).founders(0.3)
    alone = np.arange(len(rows))
    found, meant = (join(some, alone, EVIDENCE, 3.0) for join in (agglomerated, in_plain_words))
    assert np.array_equal(*(np.unique(each, return_inverse=True)[1] for each in (found, meant)))
    assert 5 < len(np.unique(found)) < len(rows) / 2


def test_a_lower_demand_joins_more(crowd):
    joined = []
    for demand in (20.0, 10.0, 3.0, 0.0, -3.0):
        size = sizes(agglomerated(crowd, np.arange(len(crowd.rows)), EVIDENCE, demand))
        joined.append(int(np.sum(size - 1)))
    assert joined == sorted(joined)
    assert joined[0] < joined[-1]


class Counting(Evidence):
    """Counts how often pairs are weighed."""

    def together(self, one, other, products):
        ROUNDS.append(len(products))
        return super().together(one, other, products)


ROUNDS: list[int] = []


def test_copies_are_joined_in_a_few_rounds_however_many():
    rows = np.repeat(directions(2), [400, 5], axis=0)
    photos = SharedPhotos(np.arange(405))
    lists = nearest_neighbours(rows, 16)
    faces = Faces(rows, *face_weights(None, 405), photos, *near_pairs(lists))
    counting = Counting(shared=EVIDENCE.shared, dimensions=EVIDENCE.dimensions)
    ROUNDS.clear()
    group = agglomerated(faces, np.arange(405), counting, 3.0)
    assert sorted(np.unique(group, return_counts=True)[1]) == [5, 400]
    assert len(ROUNDS) < 20


def test_of_a_photos_copies_only_one_is_joined_at_once():
    photos = np.arange(40)
    photos[38] = photos[39]
    rows = np.repeat(directions(1), 40, axis=0)
    near = near_pairs(nearest_neighbours(rows, 16))
    faces = Faces(rows, *face_weights(None, 40), SharedPhotos(photos), *near)
    group = with_copies_joined(faces, np.arange(40), EVIDENCE, 3.0)
    assert group.tolist() == [39] * 38 + [38, 39]


def test_a_group_goes_by_one_of_its_faces(crowd):
    group = agglomerated(crowd, np.arange(len(crowd.rows)), EVIDENCE, 3.0)
    assert np.array_equal(group[group], group)


def test_groups_without_near_faces_are_left_as_they_are():
    faces = faces_of(photos_of(directions(1)[0], 4, alike=0.9))
    alone = faces.at(np.arange(4), np.zeros(6, dtype=bool))
    assert np.array_equal(agglomerated(alone, np.arange(4), EVIDENCE, 0.0), np.arange(4))


@pytest.mark.parametrize("together", [0, 1])
def test_who_is_seen_side_by_side_must_be_more_alike(together):
    rows = np.concatenate([photos_of(look, 6, alike=0.95) for look in look_alike(0.52)])
    photos = np.arange(12)
    photos[6 : 6 + together] = photos[:together]
    group = agglomerated(faces_of(rows, photos=photos), np.repeat([0, 6], 6), EVIDENCE, 0.5)
    assert len(np.unique(group)) == 1 + together


def test_photos_count_those_that_show_both_groups():
    photos = SharedPhotos(np.array([0, 0, 1, 1, 2, 3]))
    group = np.array([0, 1, 0, 1, 0, 1])
    against = photos.against_groups(group, np.array([0]), np.array([1]))
    single = photos.against_faces(group, np.array([0, 5]), np.array([1, 0]))
    assert against[0] == 2 * single[0] > 0
    assert single[1] == 0
