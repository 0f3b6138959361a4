import numpy as np
import pytest

from memoria.clustering.likelihood import one_person
from tests.unit.clustering.people import directions, look_alike, photos_of, stored


def halves(faces, rng):
    """Each person's photos in two groups, 2 p and 2 p + 1."""
    person = np.unique(faces["person"], return_inverse=True)[1]
    return 2 * person + rng.integers(0, 2, len(person)), 2 * np.arange(person.max() + 1)


def test_two_groups_of_one_look_are_one_person_and_of_two_are_not():
    for people, low, high in ((look_alike(0.97), 0.99, 1), (directions(2), 0, 0.01)):
        rows = np.concatenate([photos_of(p, 4, alike=0.6, seed=i) for i, p in enumerate(people)])
        chance = one_person(rows, np.repeat([0, 1], 4), (np.array([0]), np.array([1])))
        assert low <= chance[0] <= high


@pytest.mark.parametrize("event", ["five", "friends", "kpop", "pins"])
def test_real_people_cut_in_two_are_likelier_than_any_two_people(event):
    faces = stored("outside_dev")
    here = faces["event"] == event
    faces = {name: column[here] for name, column in faces.items()}
    group, one = halves(faces, np.random.default_rng(0))
    first, second = np.triu_indices(len(one), 1)
    quality = faces["quality"]
    same = one_person(faces["embedding"], group, (one, one + 1), quality=quality)
    apart = one_person(faces["embedding"], group, (one[first], one[second]), quality=quality)
    assert same.min() > 0.9
    assert apart.max() < 0.1


def test_a_quality_of_another_length_is_refused():
    pair = (np.array([0]), np.array([1]))
    with pytest.raises(ValueError, match="quality"):
        one_person(np.eye(4, dtype=np.float32), np.arange(4), pair, quality=[1.0])
