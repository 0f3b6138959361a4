"""How much likelier a selfie is of a person of the event than of a stranger, and when that is sure.

The score is the evidence that grouping weighs (clustering/evidence.py): "one person" against "two",
in nats, from the similarity of the selfie to the person's mean, how many faces made that mean, how
alike they are, and how alike all people of the event are. The database computes it
(``memoria.likeness`` in supabase/schemas); ``Rule.score`` is the same in Python, for calibration
and tests. ``background`` is what the database's comes near to: the mean product of two people's
means. There it is their mean cosine times the mean product of their lengths, which is the same
where lengths and directions have nothing to do with each other: it keeps unit vectors alone.

A stranger is compared with everybody, so the demand grows with the logarithm of how many there are;
and a stranger's best score has an exponential tail, so the chance of each score is known.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np

from memoria.arrays import F64

FEWEST_FACES = 3  # of a person; fewer do not tell which of them is not theirs
FEWEST_PEOPLE = 4  # fewer say nothing of how alike the event's people are
HIGHEST_BACKGROUND = 0.3
MAYBE_CHANCE = 0.02
PEOPLE_MEASURED = 100  # the size of event that ``demand`` is told for


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a selfie's score is enough, for vectors of one model."""

    shared: float  # 0..1, clustering/evidence.py
    dimensions: float  # likewise
    demand: float  # nats that 1 stranger in 1,000 reaches, in an event of up to 100 people
    slope: float  # nats by which a stranger's chance falls to 1/e: more people, more chances
    belongs: float  # similarity to its person's other faces from which a face is surely theirs
    fpir: float = 0.001  # a match is sure where a stranger's chance is at most this
    source: str  # what measured demand and slope, or "unverified: …"

    def score(
        self,
        similarity: F64,
        selfie: tuple[float, float],
        faces: F64,
        mean_length: F64,
        background: float,
    ) -> F64:
        """Evidence in nats. (k,) cosines to k people's unit means -> (k,).

        ``selfie``: its weight and mean_length. ``faces`` (k,), ``mean_length`` (k,): how many faces
        each mean is of, and its length before it was made unit. ``background``: of the event.
        """
        weight, length = (np.float64(value) for value in selfie)
        clean = 1 - background
        mine = weight**2 * (length**2 - background) / clean
        theirs = faces**2 * (mean_length**2 - background) / clean
        cross = weight * faces * (similarity * length * mean_length - background) / clean
        both = self._alone(weight + faces, mine + theirs + 2 * cross)
        score: F64 = both - self._alone(faces, theirs) - self._alone(weight, mine)
        return score

    def chance(self, score: F64, people: int) -> F64:
        """The chance that a stranger reaches these scores somewhere in an event of so many people.

        (k,) -> (k,) 0..1.
        """
        over = (score - self._score_at(1, people)) / self.slope
        chance: F64 = np.exp(-np.maximum(over, 0))
        return chance

    def sure(self, people: int) -> float:
        """The score from which a match is sure, in an event of so many people."""
        return self._score_at(self.fpir, people)

    def maybe(self, people: int) -> float:
        """The score from which a match may be."""
        return self._score_at(MAYBE_CHANCE, people)

    def as_json(self) -> dict[str, float | str]:
        """What the database is told."""
        return asdict(self)

    def _score_at(self, chance: float, people: int) -> float:
        events = max(math.log(max(people, 1) / PEOPLE_MEASURED), 0)
        return self.demand + self.slope * (events + math.log(0.001 / chance))

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


def alike_to_others(similarity: F64, faces: float, mean_length: float) -> F64:
    """How alike faces are to the mean of their person's *other* faces. (k,) cosines -> (k,).

    ``similarity``: to the mean of all ``faces``, two or more; ``mean_length``: that mean's length.
    """
    total = faces * mean_length
    others: F64 = (total * similarity - 1) / np.sqrt(total**2 - 2 * total * similarity + 1)
    return others
