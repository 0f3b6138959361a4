"""How all faces of a photo are found: a main pass, and more looks where they can pay.

The figures behind each rule are printed by ``python -m benchmarks.find_faces`` and ``python -m
benchmarks.small_faces``; the rules are argued in docs/faces.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memoria.arrays import Image
from memoria.faces.canvas import turned
from memoria.faces.detector import Detector
from memoria.faces.geometry import NOTHING, Detections, joined, suppressed, turned_back
from memoria.faces.looks import Looks
from memoria.faces.orientation import may_be_turned, photo_turns, turned_faces
from memoria.faces.second_look import reconsidered
from memoria.faces.small_faces import UNSEEN, among, around, everywhere, small

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
            upright, others, turns = self._apart(there, found)
            faces = suppressed(joined([faces, turned_back(upright, way, width, height)]))
            glimpsed = joined([glimpsed, turned_back(others, way, width, height)])
            ways += [way for way in sorted({(way + turn) % 4 for turn in turns}) if way not in ways]
        return joined([faces, suppressed(glimpsed.take(~glimpsed.centred_in(faces)))])

    def _apart(self, image: Image, found: Detections) -> tuple[Detections, Detections, list[int]]:
        """Candidates -> the upright faces; those who lie otherwise, and by how many quarters."""
        scale = self.looks.scale(image.shape[1], image.shape[0])
        tiny = small(self.detector, found, scale) & (scale * UNSEEN < 1)
        asked = np.flatnonzero(~tiny & may_be_turned(self.detector, found, scale, self.threshold))
        turns, others = turned_faces(self.detector, image, found.take(asked), self.threshold)
        rest = ~tiny
        rest[asked[turns > 0]] = False
        faces = reconsidered(self.detector, image, found.take(rest), self.threshold)
        hints = found.take(tiny)
        hints = hints.take(~hints.centred_in(faces))
        far = among(self.detector, image, hints, self.threshold)
        faces = suppressed(joined([faces, far]))
        more = self._nearer(image, faces, far, scale)
        return suppressed(joined([faces, *more])), others, [int(turn) for turn in turns[turns > 0]]

    def _nearer(
        self, image: Image, known: Detections, far: Detections, scale: float
    ) -> Iterator[Detections]:
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
            yield new.take(new.scores >= self.detector.scale.settled)
            hints = new.take(small(self.detector, new, scale))
            yield among(self.detector, image, hints, self.threshold)
