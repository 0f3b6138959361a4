"""Who is weighed against whom, and that sums which are shared change no answer."""

import numpy as np
import pytest

from memoria.arrays import F32
from memoria.clustering.likelihood import one_person
from memoria.clustering.rows import unit_rows
from memoria.clustering.thresholds import thresholds_for
from memoria.people.likely import NEAREST, _near, likely_pairs
from tests.data import DATA, there

PACK = "scrfd2.5g_mobilefacenet"


@pytest.mark.parametrize("name", ["outside_dev", "lfw_dev"])
def test_sums_made_once_say_what_the_evidence_says_of_all_faces(name: str) -> None:
    with np.load(there(DATA / "embeddings" / f"{name}.npz")) as stored:
        vectors = unit_rows(stored["embedding"])
        named = np.unique(stored["person"], return_inverse=True)[1]
        quality = stored["quality"] if "quality" in stored else np.ones(len(named))
    part = np.random.default_rng(0).integers(0, 5, len(named))
    person = np.where(part == 0, -1, 2 * named + part % 2)  # cut in two; a fifth is nobody's
    limits = thresholds_for(PACK)
    likely = likely_pairs(vectors, quality.astype(np.float32), person, limits)
    assert len(likely.one) > 0
    assert len(likely.face) > 0

    present, group = np.unique(person, return_inverse=True)
    group = group - 1  # nobody's are first
    loose = np.flatnonzero((person < 0) & (quality >= 0.02))
    group[loose] = len(present) - 1 + np.arange(len(loose))
    one, other = (np.searchsorted(present, side) - 1 for side in (likely.one, likely.other))
    alone = one_person(vectors, group, (one, other), quality=quality, thresholds=limits)
    assert np.array_equal(likely.people, alone)


def test_the_nearest_are_those_that_sorting_finds() -> None:
    rng = np.random.default_rng(0)
    means: F32 = rng.standard_normal((40, 16)).astype(np.float32)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    for rows, floor in ((means[:7] * 0.9, -1.0), (means, -1.0), (means, 0.3)):
        alike = rows @ means.T
        if rows is means:
            np.fill_diagonal(alike, -2)
        expected = {
            (row, int(mean))
            for row in range(len(rows))
            for mean in np.argsort(-alike[row])[:NEAREST]
            if alike[row, mean] >= floor
        }
        one, other = _near(rows, means, floor)
        assert set(zip(one.tolist(), other.tolist(), strict=True)) == expected
