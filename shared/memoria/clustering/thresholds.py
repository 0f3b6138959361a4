"""Which similarities mean the same person, per model, each with its source."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

SURE_FALSE_ACCEPTS = 1 / 20_000
LINK_FALSE_ACCEPTS = 1 / 2_000
FEWEST_PAIRS = 1_000
BAND = 5e-3  # the least between the two: few pairs may put both into one place


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Cosine similarities at which the second pass decides, for vectors of one model.

    Two are measured; the margins are multiples of the band between them, so that they shrink with
    it for models whose similarities are crowded together.
    """

    sure: float  # groups are one person from here on: 1 in 20,000 pairs of strangers
    link: float  # they may be, from here on: 1 in 2,000 pairs of strangers
    source: str  # where the two come from
    verified: bool = True  # both were measured, with this model

    @property
    def margin(self) -> float:
        """The band between the two: the unit in which this model's similarities spread. Over 0."""
        return max(self.sure - self.link, BAND)

    @property
    def width(self) -> float:
        """A group whose faces are less alike on average is not one person."""
        return self.link - self.margin / 2

    @property
    def spread(self) -> float:
        """The deviation of strangers' similarities: 1 in 2,000 is 3.9 of it away, tails are fat."""
        return self.link / 3.9

    @property
    def silent(self) -> float:
        """Two faces so alike say nothing: one person is as likely as two."""
        return self.link - self.margin


UNVERIFIED = "unverified: run `memoria calibrate`"

MEASURED = Thresholds(
    sure=0.444,
    link=0.366,
    source="false accept rates 1/20,000 and 1/2,000 on LFW pairs: `python -m benchmarks.grouping`",
)
W600K_R50 = Thresholds(
    sure=0.43,
    link=0.35,
    source="sure: PhotoPrism's link distance for w600k_r50, 1.07 L2; link: 0.08 less, unmeasured",
    verified=False,
)
SFACE = Thresholds(
    sure=0.4125,
    link=0.3802,
    source="memoria calibrate with yunet_sface1_int8, on 304 portraits of every other LFW person: "
    "`python -m benchmarks.packs`",
)
UNKNOWN = Thresholds(sure=MEASURED.sure, link=MEASURED.link, source=UNVERIFIED, verified=False)

THRESHOLDS: dict[str, Thresholds] = {
    "buffalo_l": W600K_R50,
    "buffalo_m": W600K_R50,
    "buffalo_s": UNKNOWN,
    "buffalo_sc": UNKNOWN,
    "antelopev2": UNKNOWN,
    "scrfd2.5g_mobilefacenet": MEASURED,
    "yunet_sface1": SFACE,
    "yunet_sface1_int8": SFACE,
    "yunet_auraface1": UNKNOWN,
}


Measured = Mapping[str, tuple[float, float]]  # model -> sure, link
NONE_MEASURED: Measured = MappingProxyType({})


def thresholds_for(model: str | None, configured: Measured = NONE_MEASURED) -> Thresholds:
    """The thresholds of a model pack: as configured (sure, link), or from the table.

    A model that is in neither gets those of the small pack.
    """
    if model and model in configured:
        sure, link = configured[model]
        return Thresholds(sure=sure, link=link, source="SIMILARITY_THRESHOLDS")
    return THRESHOLDS.get(model or "", UNKNOWN)


def thresholds_from_pairs(same: ArrayLike, different: ArrayLike, *, source: str) -> Thresholds:
    """Thresholds at fixed false accept rates.

    ``same``, ``different``: (m,), (k,) cosine similarities of pairs of faces of one person and of
    two. ``sure`` is exceeded by 1 in 20,000 pairs of strangers, ``link`` by 1 in 2,000. With fewer
    pairs the highest ones stand in for what cannot be counted.

    Raises ValueError with fewer than 1,000 pairs of strangers or none of one person, and where
    strangers look like copies or like nobody: SIMILARITY_THRESHOLDS would refuse what comes of it.
    """
    strangers = np.asarray(different, dtype=np.float64).ravel()
    if len(strangers) < FEWEST_PAIRS or np.size(same) == 0:
        raise ValueError(
            f"calibration needs {FEWEST_PAIRS} pairs of different people and one of the same, "
            f"got {len(strangers)} and {np.size(same)}"
        )
    sure = round(similarity_at(strangers, SURE_FALSE_ACCEPTS), 4)
    link = round(similarity_at(strangers, LINK_FALSE_ACCEPTS), 4)
    if not 0 < link <= sure < 1:
        raise ValueError(
            f"different people reach a similarity of {sure:g}, 1 in 2,000 pairs {link:g}: "
            "is a photo there twice under two names?"
        )
    return Thresholds(sure=sure, link=link, source=source)


def similarity_at(different: ArrayLike, false_accepts: float) -> float:
    """The similarity that this part of the pairs of different people reaches. (k,) -> -1..1."""
    return float(np.quantile(np.asarray(different, dtype=np.float64), 1 - false_accepts))


def true_accepts(same: ArrayLike, similarity: float) -> float:
    """The part of the pairs of one person that reach a similarity. (m,) -> 0..1."""
    return float(np.mean(np.asarray(same) >= similarity))
