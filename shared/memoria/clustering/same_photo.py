"""Two faces in one photo are probably two people; not surely: there are collages and mirrors."""

from typing import Any

import numpy as np

from memoria.arrays import F64, Index

NATS = 12.0  # what one photo that shows both says against their being one person


class SharedPhotos:
    """Which faces share a photo; None where nobody knows."""

    def __init__(self, photo_of: Index | None) -> None:
        self.photo_of = photo_of
        self.count = 0 if photo_of is None else int(photo_of.max(initial=-1)) + 1

    def at(self, chosen: Index) -> "SharedPhotos":
        """The photos of some faces."""
        return SharedPhotos(None if self.photo_of is None else self.photo_of[chosen])

    def against_groups(self, group: Index, one: Index, other: Index) -> F64:
        """What the photos that show two groups say against their being one person.

        (n,) each face's group, (m,), (m,) group numbers below n -> (m,) nats.
        """
        if self.photo_of is None or len(one) == 0:
            return np.zeros(len(one))
        seen = self._seen(group)
        both = np.asarray(seen[one].minimum(seen[other]).sum(axis=1)).ravel()
        return NATS * both.astype(np.float64)

    def against_faces(self, group: Index, face: Index, other: Index) -> F64:
        """What the other faces of its photo say against a face's being of a group.

        (n,) each face's group, (m,) faces, (m,) group numbers below n -> (m,) nats.
        """
        if self.photo_of is None or len(face) == 0:
            return np.zeros(len(face))
        there = np.asarray(self._seen(group)[other, self.photo_of[face]]).ravel()
        others: F64 = there.astype(np.float64) - (group[face] == other)
        return NATS * others

    def one_each(self, face: Index, group: Index) -> Index:
        """Which faces may join groups at once: the first of each photo in each. (m,) -> (k,)."""
        if self.photo_of is None:
            return np.arange(len(face))
        keys = group * self.count + self.photo_of[face]
        return np.sort(np.unique(keys, return_index=True)[1])

    def _seen(self, group: Index) -> Any:
        """How many faces of each group are in each photo. -> (n, photos), sparse."""
        from scipy.sparse import csr_array

        shape = (len(group), self.count)
        return csr_array((np.ones(len(group)), (group, self.photo_of)), shape=shape)
