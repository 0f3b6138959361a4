import numpy as np
import pytest

from memoria.clustering.crowd import Crowd, crowd_of
from memoria.clustering.rows import unit_rows
from tests.unit.clustering.people import directions, photos_of


def event(people, photos=4, *, lean=0.0):
    """Faces of people who all lean to one direction, and who is who."""
    looks = unit_rows(directions(people, 512) + lean * directions(people + 1, 512)[-1])
    rows = [photos_of(look, photos, alike=0.6, seed=seed) for seed, look in enumerate(looks)]
    return np.concatenate(rows), np.repeat(np.arange(people), photos)


def test_people_who_share_a_direction_raise_the_zero():
    mixed = crowd_of(*event(40), 0.09)
    leaning = crowd_of(*event(40, lean=0.5), 0.09)
    assert mixed.zero == pytest.approx(0, abs=0.01)
    shared = 0.5**2 / (1 + 0.5**2)
    assert leaning.zero == pytest.approx(0.6 * shared, abs=0.03)


def test_a_spread_narrower_than_usual_counts_as_usual():
    assert crowd_of(*event(40), 0.09).spread == 1


def test_strangers_whose_similarities_lie_apart_are_seen():
    rows, first = event(40)
    few = np.random.default_rng(1).normal(size=(rows.shape[1], 48))
    assert crowd_of(unit_rows(rows @ few), first, 0.09).spread > 1.3  # few directions, wide spread


def test_few_people_are_no_crowd():
    rows, first = event(3, lean=1.0)
    assert crowd_of(rows, first, 0.05) == Crowd()
    assert crowd_of(rows, np.full(len(rows), -1), 0.05) == Crowd()
