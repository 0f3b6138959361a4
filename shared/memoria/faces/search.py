"""How all faces of a photo are found: a main pass, and more looks where they can pay.

The figures behind each rule are printed by ``python -m benchmarks.find_faces`` and ``python -m
benchmarks.small_faces``; the rules are argued in docs/faces.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from memoria.arrays import Image
from memoria.faces.canvas import turned
from memoria.faces.detector import Detector
from memoria.faces.geometry import NOTHING, Detections, joined, suppressed, turned_back
from memoria.faces.looks import Looks
from memoria.faces.orientation import (
    ByOrientation,
    glance_may_be_turned,
    may_be_turned,
    photo_turns,
    together,
    turned_faces,
)
from memoria.faces.second_look import reconsidered
from memoria.faces.small_faces import UNSEEN, around, confirmed, everywhere, glanced_at, small

SmallFaces = Literal["auto", "thorough"]


@dataclass(frozen=True, slots=True)
class Search:
    """How to look for faces."""

    detector: Detector
    det_size: int = 640  # long side of the main pass on a 4:3 photo, pixels
    threshold: float = 0.5
    small_faces: SmallFaces = "auto"  # thorough: nearer everywhere, not only where there is a hint

    def __call__(self, image: Image) -> Detections:
        """Faces at or over the threshold, in the image's pixels."""
        found, turns = self.looks.main(image), 0
        if found.scores.max(initial=0) < self.detector.scale.upright:
            turns, found = photo_turns(self.looks, image, found, self.threshold)
        faces = self._every_way(turned(image, turns), found)
        return turned_back(faces, turns, image.shape[1], image.shape[0])

    @property
    def looks(self) -> Looks:
        """What the search sees."""
        return Looks(self.detector, self.det_size)

    def _every_way(self, image: Image, found: Detections) -> Detections:
        """Faces among candidates; and where somebody lies otherwise, those who lie so too."""
        height, width = image.shape[:2]
        faces, glimpsed, ways = NOTHING, NOTHING, [0]
        for way in ways:
            there = turned(image, way)
            if way:
                known = turned_back(faces, 4 - way, there.shape[1], there.shape[0])
                found = self.looks.main(there)
                found = found.take(~found.centred_in(known))
            seen = self._by_orientation(there, found)
            faces = joined([faces, turned_back(seen.upright, way, width, height)])
            faces = suppressed(faces)
            glimpsed = joined([glimpsed, turned_back(seen.others, way, width, height)])
            others = sorted({(way + turns) % 4 for turns in seen.turns})
            ways += [other for other in others if other not in ways]
        return joined([faces, suppressed(glimpsed.take(~glimpsed.centred_in(faces)))])

    def _by_orientation(self, image: Image, found: Detections) -> ByOrientation:
        """Faces among the candidates of a main pass, and what nearer looks add."""
        scale = self.looks.scale(image.shape[1], image.shape[0])
        tiny = small(self.detector, found, scale) & (scale * UNSEEN < 1)
        large = self._large(image, found.take(~tiny), scale)
        hints = found.take(tiny)
        far = self._small(image, hints.take(~hints.centred_in(large.upright)))
        first = together([large, far])
        return together([first, *self._nearer(image, first.upright, far.upright, scale)])

    def _large(self, image: Image, found: Detections, scale: float) -> ByOrientation:
        """Faces among candidates that a main pass saw large enough."""
        asked = may_be_turned(self.detector, found, scale, self.threshold)
        turns, others = turned_faces(self.detector, image, found, asked, self.threshold)
        faces = reconsidered(self.detector, image, found.take(turns == 0), self.threshold)
        return ByOrientation(faces, others, frozenset(turns[turns > 0].tolist()))

    def _small(self, image: Image, hints: Detections) -> ByOrientation:
        """Faces among hints."""
        glances = glanced_at(self.detector, image, hints)
        asked = glance_may_be_turned(self.detector, glances, self.threshold)
        turns, others = turned_faces(self.detector, image, glances, asked, self.threshold)
        faces = confirmed(self.detector, image, glances.take(turns == 0), self.threshold)
        return ByOrientation(faces, others, frozenset(turns[turns > 0].tolist()))

    def _nearer(
        self, image: Image, known: Detections, far: Detections, scale: float
    ) -> Iterator[ByOrientation]:
        """Faces that gave no hint in a look at this scale: around those that are far away."""
        size = image.shape[1], image.shape[0]
        nearer = (
            everywhere(self.detector, size)
            if self.small_faces == "thorough"
            else around(self.detector, far, scale, size)
        )
        if nearer is None or scale * UNSEEN > 1:
            return
        scale = min(1, nearer.times * scale)
        for found in self.looks.by_tiles(image, nearer.region, scale):
            new = found.take(~found.centred_in(known) & (found.scores >= nearer.hint))
            certain = new.scores >= self.detector.scale.settled
            yield ByOrientation(new.take(certain), NOTHING, frozenset())
            yield self._small(image, new.take(small(self.detector, new, scale)))
