"""Which similarities mean the same person, per model, each with its source."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Cosine similarities at which the second pass decides, for vectors of one model.

    Two are measured; the margins are multiples of the band between them, so that they shrink with
    it for models whose similarities are crowded together.
    """

    sure: float  # groups are one person from here on: 1 in 20,000 pairs of strangers
    link: float  # they may be, if no other group is near: 1 in 2,000 pairs of strangers
    source: str  # where the two come from, or "unverified: …"

    @property
    def margin(self) -> float:
        """How much less similar the next best group must be, for a group."""
        return self.sure - self.link

    @property
    def face_margin(self) -> float:
        """And for a single face that is in no group: twice as much, it is one look only."""
        return 2 * self.margin

    @property
    def same_photo(self) -> float:
        """How much more similar faces of one photo must be to be one person."""
        return 2 * self.margin


UNVERIFIED = "unverified: run `memoria calibrate`"

MEASURED = Thresholds(
    sure=0.444,
    link=0.366,
    source="false accept rates 1/20,000 and 1/2,000 on LFW pairs: `python -m benchmarks.grouping`",
)
W600K_R50 = Thresholds(
    sure=0.43,
    link=0.35,
    source="sure: PhotoPrism's link distance for w600k_r50, 1.07 L2; link: unverified",
)
UNKNOWN = Thresholds(sure=MEASURED.sure, link=MEASURED.link, source=UNVERIFIED)

THRESHOLDS: dict[str, Thresholds] = {
    "buffalo_l": W600K_R50,
    "buffalo_m": W600K_R50,
    "buffalo_s": UNKNOWN,
    "buffalo_sc": UNKNOWN,
    "antelopev2": UNKNOWN,
    "scrfd2.5g_mobilefacenet": MEASURED,
    "dlib": Thresholds(sure=0.94, link=0.93, source=UNVERIFIED),
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
