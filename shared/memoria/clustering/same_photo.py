"""Who is in one photo together: probably two people, but collages, mirrors and screens exist."""

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import Index


class Photos:
    """Which faces share a photo; None where nobody knows."""

    def __init__(self, photo_of: Index | None) -> None:
        self.photo_of = photo_of
        self.count = 0 if photo_of is None else int(photo_of.max(initial=-1)) + 1

    def shared(self, group: Index, groups: int, one: Index, other: Index) -> NDArray[np.float64]:
        """The part of the smaller group's faces that share a photo with the other group, 0..1."""
        if self.photo_of is None or len(one) == 0:
            return np.zeros(len(one))
        from scipy.sparse import csr_array

        size = np.bincount(group, minlength=groups)
        seen = csr_array((np.ones(len(group)), (group, self.photo_of)), shape=(groups, self.count))
        both = np.asarray(seen[one].minimum(seen[other]).sum(axis=1)).ravel()
        return np.minimum(both / np.minimum(size[one], size[other]), 1)

    def same(self, members: Index) -> NDArray[np.bool_]:
        """Which pairs of some faces share a photo. (m,) -> (m, m)."""
        if self.photo_of is None:
            return np.zeros((len(members), len(members)), dtype=bool)
        photo = self.photo_of[members]
        pairs: NDArray[np.bool_] = photo[:, None] == photo
        return pairs

    def repeats(self, group: Index, groups: int) -> NDArray[np.bool_]:
        """Which groups hold two faces of one photo. -> (groups,)."""
        found = np.zeros(groups, dtype=bool)
        if self.photo_of is not None:
            pairs, counts = np.unique(group * self.count + self.photo_of, return_counts=True)
            found[pairs[counts > 1] // self.count] = True
        return found
