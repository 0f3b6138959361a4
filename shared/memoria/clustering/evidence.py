"""How much likelier two groups of faces are one person than two.

The model is the simplest there is (two covariances, isotropic: PLDA's nearest kin). A person is a
random vector in ``dimensions`` directions; a photo shows it plus noise of its own. Of the spread
of all faces the persons are the part ``shared``, the noise of single photos is the rest; so two
photos of one person have similarity ``shared`` on average, two of strangers 0. Then all that n
faces say of their person is in their sum s, and the chance of seeing them, if they are one person
and relative to noise alone, is

    log p(n, s) = -dimensions/2 ln(1 + n shared/(1 - shared))
                  + |s|² dimensions shared / (2 (1 - shared) (1 - shared + n shared))

The evidence for two groups is log p of both together minus the two log p alone, in nats.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from memoria.arrays import F64, Index
from memoria.clustering.crowd import Crowd
from memoria.clustering.groups import Groups
from memoria.clustering.thresholds import Thresholds

SLOPE = 3.1  # nats that a pair's evidence grows by over the band between link and sure
FEWEST = 1e-3  # the least similarity: for thresholds that make no sense
BISECTIONS = 50
LOOKS = 4.0  # a person's photos have moods, ages, cameras in common: n count as n/(1 + (n-1)/LOOKS)


class Alone(NamedTuple):
    """What groups of faces show, each by itself. All (m,)."""

    looks: F64  # independent photos
    scale: F64  # looks / weight, what the sum is multiplied by
    square: F64  # the squared length of the scaled sum, without what the crowd has in common
    log_p: F64  # nats

    def at(self, chosen: Index) -> "Alone":
        """Some of the groups."""
        return Alone(*(column[chosen] for column in self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The model of one pack in one event. Immutable; all methods are pure."""

    shared: float  # 0..1, the similarity of two photos of one person
    dimensions: float  # how many directions people differ in
    zero: float = 0.0  # the similarity of two people of the event
    leniency: float = 0.0  # a similarity, what CLUSTER_EPSILON adds to every pair of faces

    def among(self, crowd: Crowd, leniency: float) -> "Evidence":
        """The model in one event: where strangers lie apart, there are fewer directions."""
        dimensions = self.dimensions / crowd.spread**2
        return replace(self, dimensions=dimensions, zero=crowd.zero, leniency=leniency)

    def between(self, groups: Groups, one: Index, other: Index, products: F64) -> F64:
        """The evidence that pairs of groups are one person. (m,), (m,) numbers -> (m,) nats.

        ``products`` (m,): those of the pairs' sums.
        """
        mine, theirs = (self.alone(groups.weight[k], groups.square[k]) for k in (one, other))
        return self.together(mine, theirs, products)

    def alone(self, weight: F64, square: F64) -> Alone:
        """Groups by themselves. (m,) weights over 0, (m,) squared lengths of their sums."""
        count = self.looks(weight, square)
        scale = count / weight
        clean = (scale**2 * square - self.zero * count**2) / (1 - self.zero)
        return Alone(count, scale, clean, self._log_p(count, clean))

    def together(self, one: Alone, other: Alone, products: F64) -> F64:
        """The evidence that two are one person, from the products of their sums. (m,) -> (m,)."""
        shift = (self.leniency - self.zero) * one.looks * other.looks
        cross = (one.scale * other.scale * products + shift) / (1 - self.zero)
        both = self._log_p(one.looks + other.looks, one.square + other.square + 2 * cross)
        return both - one.log_p - other.log_p

    def looks(self, weight: F64, square: F64) -> F64:
        """How many independent photos a group is worth. (m,) weights, squared sums -> (m,).

        A burst is one look however many photos it has: what is more alike than ``repeated`` is
        one observation made again, and the sum's length tells how much of a group is that.
        """
        repeated = (1 + self.shared) / 2
        alike = np.maximum(square / weight**2 - repeated, 0) / (1 - repeated)
        count = weight / np.maximum(weight * alike, 1)
        return count / (1 + (count - 1) / LOOKS)

    def _log_p(self, count: F64, square: F64) -> F64:
        noise = 1 - self.shared
        seen = noise + count * self.shared
        gain = self.dimensions * self.shared / (2 * noise * seen)
        return gain * square - self.dimensions / 2 * np.log(seen / noise)


@lru_cache(maxsize=32)
def evidence_for(thresholds: Thresholds) -> Evidence:
    """The model that a pack's thresholds stand for.

    A pair of faces one band below ``link`` says nothing, and what it says grows by SLOPE a band:
    at ``sure`` it is 2 SLOPE, 500 : 1. Two equations for two unknowns, see `_zero` and the slope
    ``dimensions shared / (1 - shared²)``.
    """
    band = thresholds.margin
    zero = float(np.clip(thresholds.silent, FEWEST, 1 - FEWEST))
    low, high = FEWEST, 1 - 1e-9
    for _ in range(BISECTIONS):
        shared = (low + high) / 2
        if _zero(shared) > zero:
            high = shared
        else:
            low = shared
    return Evidence(shared=shared, dimensions=SLOPE / band * (1 - shared**2) / shared)


def _zero(shared: float) -> float:
    """The similarity at which two faces of weight 1 say nothing."""
    noise = 1 - shared**2
    return float(shared + noise * np.log(noise) / (2 * shared))
