"""Two faces in one photo are probably two people; not surely: there are collages and mirrors."""

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F64, Index
from memoria.clustering.keys import distinct

MIRROR = 2  # faces of one person in a photo
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

        (n,) each face's group, (m,), (m,) group numbers -> (m,) nats.
        """
        if self.photo_of is None or len(one) == 0:
            return np.zeros(len(one))
        shown = distinct(group * self.count + self.photo_of)  # groups and photos they are in
        begin = np.searchsorted(shown, np.stack([one, other, one + 1, other + 1]) * self.count)
        photos = begin[2:] - begin[:2]
        less = np.argmin(photos, axis=0)  # of the two groups the one in fewer photos is walked
        pair = np.arange(len(one))
        steps = photos[less, pair]
        walk = np.repeat(pair, steps)
        place = np.arange(len(walk)) - np.repeat(np.cumsum(steps) - steps, steps)
        photo = shown[begin[less, pair][walk] + place] % self.count
        sought = np.where(less == 0, other, one)[walk] * self.count + photo
        both = shown[np.minimum(np.searchsorted(shown, sought), len(shown) - 1)] == sought
        photos_of_both: F64 = np.bincount(walk, both, len(one)).astype(np.float64)
        return NATS * photos_of_both

    def against_faces(self, group: Index, face: Index, other: Index) -> F64:
        """What the other faces of its photo say against a face's being of a group.

        (n,) each face's group, (m,) faces, (m,) group numbers -> (m,) nats.
        """
        if self.photo_of is None or len(face) == 0:
            return np.zeros(len(face))
        shown = np.sort(group * self.count + self.photo_of)
        sought = other * self.count + self.photo_of[face]
        there = np.searchsorted(shown, sought, "right") - np.searchsorted(shown, sought)
        others: F64 = there.astype(np.float64) - (group[face] == other)
        return NATS * others

    def doubled(self, group: Index) -> NDArray[np.bool_]:
        """Whether a face is one of several of its group in a photo, and that in two photos.

        (n,) groups -> (n,). In a single photo it is a mirror, or a collage of somebody whom other
        photos show, too. A photo that shows most of a group, more than MIRROR times, may be one of
        a row of strangers: its faces are doubled as well.
        """
        if self.photo_of is None:
            return np.zeros(len(group), dtype=bool)
        keys = group * self.count + self.photo_of
        shown, where, faces = np.unique(keys, return_inverse=True, return_counts=True)
        photos = np.bincount(shown // self.count, faces > 1)
        here = faces[where]
        most = (here > MIRROR) & (2 * here > np.bincount(group)[group])
        doubled: NDArray[np.bool_] = ((here > 1) & (photos[group] > 1)) | most
        return doubled

    def one_each(self, face: Index, group: Index) -> Index:
        """Which faces may join groups at once: the first of each photo in each. (m,) -> (k,)."""
        if self.photo_of is None:
            return np.arange(len(face))
        keys = group * self.count + self.photo_of[face]
        return np.sort(np.unique(keys, return_index=True)[1])
