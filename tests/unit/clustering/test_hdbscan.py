import hdbscan.hdbscan_ as package
import numpy as np
import pytest
from hdbscan._hdbscan_linkage import label, mst_linkage_core
from hdbscan._hdbscan_reachability import mutual_reachability
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from memoria.clustering import hdbscan_labels
from memoria.clustering.hdbscan import neighbour_lists, one_label_for_copies
from memoria.clustering.rows import canonical_order, unit_rows
from memoria.clustering.spanning_tree import single_linkage
from tests.data import LFW, there

CHOICES = [(3, 2, 0.4), (2, 1, 0.0), (5, 5, 0.3), (3, 3, 0.0), (2, 2, 0.5), (10, 20, 0.2)]


def reference_distances(rows):
    wide = rows.astype(np.float64)
    distances = np.clip(1 - wide @ wide.T, 0, 2)
    np.fill_diagonal(distances, 0)
    return distances


def reference_tree(rows, min_samples):
    """The package's own dense code, save that its sort, which parts ties by CPU, is stable."""
    reach = mutual_reachability(reference_distances(rows), min(len(rows) - 1, min_samples))
    tree = mst_linkage_core(reach)
    return tree[np.argsort(tree[:, 2], kind="stable")]


def reference_labels(rows, min_cluster_size, min_samples, epsilon):
    tree = label(reference_tree(rows, min_samples))
    labels = package._tree_to_labels(
        None, tree, min_cluster_size, cluster_selection_epsilon=epsilon
    )
    return labels[0]


@pytest.fixture(scope="module")
def real_faces():
    return unit_rows(np.load(there(LFW))["embedding"])


@pytest.mark.parametrize("faces", [30, 100, 300, 1000, 1500])
@pytest.mark.parametrize(("min_cluster_size", "min_samples", "epsilon"), CHOICES)
def test_labels_of_real_faces_are_those_of_the_package(
    real_faces, faces, min_cluster_size, min_samples, epsilon
):
    chosen = np.random.default_rng(faces).permutation(len(real_faces))[:faces]
    rows = real_faces[chosen]
    rows = rows[canonical_order(rows)]
    labels = hdbscan_labels(
        rows, min_cluster_size=min_cluster_size, min_samples=min_samples, epsilon=epsilon
    )
    expected = reference_labels(rows, min_cluster_size, min_samples, epsilon)
    assert adjusted_rand_score(labels, expected) == 1.0
    assert np.array_equal(labels < 0, expected < 0)


def test_a_tree_over_many_blocks_is_as_short_as_the_package_s(real_faces):
    rows = real_faces[:2500]
    rows = rows[canonical_order(rows)]
    tree = single_linkage(rows, neighbour_lists(rows, 2), 2)
    np.testing.assert_allclose(tree[:, 2], reference_tree(rows, 2)[:, 2], atol=1e-6)


def test_tight_crowds_far_apart_are_joined_by_their_shortest_edges():
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(30, 64))
    rows = unit_rows(np.repeat(centres, 40, axis=0) + 0.2 * rng.normal(size=(1200, 64)))
    rows = rows[canonical_order(rows)]
    tree = single_linkage(rows, neighbour_lists(rows, 2), 2)
    np.testing.assert_allclose(tree[:, 2], reference_tree(rows, 2)[:, 2], atol=1e-6)


vectors = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@settings(max_examples=60)
@given(
    rng=vectors,
    people=st.integers(1, 8),
    faces=st.integers(2, 120),
    noise=st.sampled_from([0.05, 0.3, 0.8, 2.0]),
    choice=st.sampled_from(CHOICES),
)
def test_labels_of_made_faces_are_those_of_the_package(rng, people, faces, noise, choice):
    centres = rng.normal(size=(people, 24))
    rows = centres[rng.integers(0, people, faces)] + noise * rng.normal(size=(faces, 24))
    rows = unit_rows(rows)
    rows = rows[canonical_order(rows)]
    labels = hdbscan_labels(
        rows, min_cluster_size=choice[0], min_samples=choice[1], epsilon=choice[2]
    )
    assert adjusted_rand_score(labels, reference_labels(rows, *choice)) == 1.0


@settings(max_examples=60)
@given(
    rng=vectors, faces=st.integers(0, 60), copies=st.integers(1, 5), choice=st.sampled_from(CHOICES)
)
def test_the_order_of_the_rows_does_not_matter_even_with_copies(rng, faces, copies, choice):
    rows = unit_rows(np.repeat(rng.normal(size=(faces, 16)), copies, axis=0)[: 2 * faces])
    order = rng.permutation(len(rows))
    chosen = {"min_cluster_size": choice[0], "min_samples": choice[1], "epsilon": choice[2]}
    assert np.array_equal(
        hdbscan_labels(rows[order], **chosen), hdbscan_labels(rows, **chosen)[order]
    )


@settings(max_examples=40)
@given(rng=vectors, noise=st.sampled_from([0.05, 0.3, 0.8, 2.0]), choice=st.sampled_from(CHOICES))
def test_labels_are_those_of_all_pairs_where_a_list_holds_only_some_copies(rng, noise, choice):
    faces = rng.normal(size=(6, 24))[rng.integers(0, 6, 60)] + noise * rng.normal(size=(60, 24))
    copies = np.where(rng.random(60) < 0.1, rng.integers(20, 80, 60), 1)
    rows = unit_rows(np.repeat(faces, copies, axis=0))
    rows = rows[canonical_order(rows)]
    labels = hdbscan_labels(
        rows, min_cluster_size=choice[0], min_samples=choice[1], epsilon=choice[2]
    )
    expected = one_label_for_copies(rows, reference_labels(rows, *choice))
    assert adjusted_rand_score(labels, expected) == 1.0


@pytest.mark.parametrize("faces", [0, 1, 2, 5])
def test_fewer_faces_than_two_groups_need_are_noise(faces):
    rows = np.eye(8, dtype=np.float32)[:faces]
    assert hdbscan_labels(rows).tolist() == [-1] * faces


def test_ten_times_the_same_face_is_no_split():
    rows = np.repeat(np.eye(8, dtype=np.float32)[:1], 10, axis=0)
    assert hdbscan_labels(rows).tolist() == [-1] * 10


def test_rows_of_any_length_are_compared_by_direction(real_faces):
    rows = real_faces[:200]
    assert np.array_equal(hdbscan_labels(rows * 11), hdbscan_labels(rows))


@pytest.mark.parametrize(
    "wrong", [{"min_cluster_size": 1}, {"min_samples": 0}, {"epsilon": -0.1}, {"epsilon": np.nan}]
)
def test_parameters_without_a_meaning_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        hdbscan_labels(np.eye(8, dtype=np.float32), **wrong)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_vectors_without_a_direction_are_refused(value):
    rows = np.eye(8, dtype=np.float32)
    rows[3] = value
    with pytest.raises(ValueError, match="finite"):
        hdbscan_labels(rows)
