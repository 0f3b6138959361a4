"""How much likelier a selfie is of a person of the event than of a stranger, and when that is sure.

The score is the evidence that grouping weighs (clustering/evidence.py): "one person" against "two",
in nats, from the similarity of the selfie to the person's mean, how many faces made that mean, how
alike they are, and how alike all people of the event are. The database computes it
(``memoria.likeness`` in supabase/schemas); this is the same in Python, for calibration and tests.

A stranger is compared with everybody, so the demand grows with the logarithm of how many there are;
and a stranger's best score has an exponential tail, so the chance of each score is known.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np

from memoria.arrays import F64

FEWEST_PEOPLE = 4  # fewer say nothing of how alike the event's people are
HIGHEST_BACKGROUND = 0.3
PEOPLE_MEASURED = 100  # the size of event that ``demand`` is told for


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a selfie's score is enough, for vectors of one model."""

    shared: float  # 0..1, clustering/evidence.py
    dimensions: float  # likewise
    demand: float  # nats at which 1 stranger in 1,000 is shown somebody, in an event of 100 people
    growth: float  # nats more for each e-fold of people
    tail: float  # nats over which a stranger's chance falls to 1/e
    source: str  # what measured the three, or "unverified: …"

    def score(
        self,
        similarity: F64,
        selfie: tuple[float, float],
        faces: F64,
        agreement: F64,
        background: float,
    ) -> F64:
        """Evidence in nats. (k,) cosines to k people's unit means -> (k,).

        ``selfie``: its weight and agreement. ``faces`` (k,), ``agreement`` (k,): how many faces
        each mean is of, and its length before it was made unit. ``background``: of the event.
        """
        weight, length = (np.float64(value) for value in selfie)
        clean = 1 - background
        mine = weight**2 * (length**2 - background) / clean
        theirs = faces**2 * (agreement**2 - background) / clean
        cross = weight * faces * (similarity * length * agreement - background) / clean
        both = self._alone(weight + faces, mine + theirs + 2 * cross)
        score: F64 = both - self._alone(faces, theirs) - self._alone(weight, mine)
        return score

    def sure(self, people: int) -> float:
        """The score that at most 1 stranger in 1,000 reaches, in an event of so many people."""
        return self.demand + self.growth * max(math.log(max(people, 1) / PEOPLE_MEASURED), 0)

    def confidence(self, score: F64, people: int) -> F64:
        """1 - the chance that a stranger reaches these scores. (k,) -> (k,) 0..1."""
        chance = np.exp(np.minimum((self.sure(people) - score) / self.tail, math.log(1000))) / 1000
        sure: F64 = 1 - chance
        return sure

    def as_json(self) -> dict[str, float | str]:
        """What the database is told."""
        return asdict(self)

    def _alone(self, count: F64 | np.float64, square: F64 | np.float64) -> F64:
        noise = 1 - self.shared
        seen = noise + count * self.shared
        said: F64 = self.shared * square / (2 * noise * seen) - np.log(seen / noise) / 2
        return self.dimensions * said


def background(means: F64) -> float:
    """How alike the people of an event are, whoever they are. (k, d) means, not unit -> 0..0.3."""
    count = len(means)
    if count < FEWEST_PEOPLE:
        return 0.0
    total = means.sum(axis=0)
    apart = float(total @ total - np.einsum("ij,ij->", means, means))
    return float(np.clip(apart / ((count - 1) * (count + 2)), 0, HIGHEST_BACKGROUND))
