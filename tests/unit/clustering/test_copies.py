import numpy as np

from memoria.clustering.copies import copies, seen_often_enough
from tests.unit.clustering.people import directions, faces_of, look_alike


def test_copies_are_known_by_the_first_of_them():
    ann, bea = directions(2)
    assert copies(faces_of(np.stack([ann, bea, ann, bea]))).tolist() == [0, 1, 0, 1]


def test_a_group_is_judged_by_its_own_faces():
    """Frames of a chain are copies of each other, though its ends are not alike."""
    turns = np.deg2rad(np.arange(6) * 17.0)
    chain = np.zeros((6, 64), np.float32)
    chain[:, 0], chain[:, 1] = np.cos(turns), np.sin(turns)
    face = 0.6 * chain[5] + 0.8 * directions(3)[2]
    rows = np.concatenate([chain, face[None]]).astype(np.float32)
    group = np.array([0, 0, 0, 0, 4, 4, 4])
    assert seen_often_enough(faces_of(rows), group, 0.55, 3).tolist() == group.tolist()
    assert seen_often_enough(faces_of(rows), group, 0.65, 3).tolist() == [0, 0, 0, 0, 4, 5, 6]


def test_two_looks_need_to_be_alike_and_copies_alone_do_not():
    ann, bea = look_alike(0.4)
    rows, group = np.stack([ann, ann, bea]), np.zeros(3, np.intp)
    assert seen_often_enough(faces_of(rows), group, 0.45, 3).tolist() == [0, 1, 2]
    assert seen_often_enough(faces_of(rows), group, 0.35, 3).tolist() == [0, 0, 0]
    assert seen_often_enough(faces_of(rows), group, 0.45, 2).tolist() == [0, 0, 0]
    assert seen_often_enough(faces_of(np.stack([ann] * 3)), group, 0.45, 3).tolist() == [0, 0, 0]
