"""A photo that is there twice says what it says once: copies help nobody to be a person."""

import numpy as np

from memoria.arrays import Index
from memoria.clustering.groups import Faces, counted, sizes

COPY = 0.95  # similarity: the same photo saved again, cut or made smaller; or the next of a burst
ENOUGH = 3  # looks of one person: two alone may be look-alikes


def seen_often_enough(faces: Faces, group: Index, bar: float, least: int) -> Index:
    """The groups, without those of two looks that copies bring to ``least`` faces. (n,) -> (n,).

    Such a group stays where its looks are as alike as ``bar`` on average: they could be one person
    without any further sign. Copies of a single face stay together, whoever it is.
    """
    _, row = np.unique(np.stack([group, copies(faces)]), axis=1, return_index=True)  # a look each
    names, at, count = np.unique(group[row], return_inverse=True, return_counts=True)
    alike = counted(faces.rows[row], at, len(names)).inside(count.astype(np.float64))
    few = (count > 1) & (count < min(least, ENOUGH)) & (alike < bar)
    lost = np.isin(group, names[few]) & (sizes(group) >= least)
    return np.where(lost, np.arange(len(group)), group)


def copies(faces: Faces) -> Index:
    """Which faces are copies of each other: (n,) the row of the first of them."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(faces.rows)
    one, other = (side[faces.alike >= COPY] for side in faces.near)
    same = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(n, n))
    _, part = connected_components(same, directed=False)
    copy: Index = np.unique(part, return_index=True)[1][part]
    return copy
