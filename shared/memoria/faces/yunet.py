"""YuNet (Wu et al. 2023, Machine Intelligence Research 20:656-665) as OpenCV publishes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from memoria.arrays import F32
from memoria.faces.geometry import Detections, joined

_STRIDES = (8, 16, 32)
_KINDS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}  # output -> numbers for each cell


@dataclass(frozen=True)
class Yunet:
    """For each stride four outputs: class and object scores, box, key points."""

    names: list[str]
    stride = _STRIDES[-1]

    @classmethod
    def of(cls, shapes: Mapping[str, Sequence[Any]]) -> Self | None:
        """The decoder of a network with these outputs, if they are YuNet's."""
        names = [f"{kind}_{stride}" for stride in _STRIDES for kind in _KINDS]
        return cls(names) if set(names) <= set(shapes) else None

    def decoded(self, outputs: list[F32], columns: int, threshold: float) -> Detections:
        """Candidates at or over the threshold, in the canvas's pixels."""
        kinds = len(_KINDS)
        return joined(
            [
                _level(outputs[kinds * i : kinds * (i + 1)], stride, columns // stride, threshold)
                for i, stride in enumerate(_STRIDES)
            ]
        )


def _level(output: list[F32], stride: int, columns: int, threshold: float) -> Detections:
    """One level: class, object (n, 1), box (n, 4) as centre and log size, key points (n, 10)."""
    kind, thing, boxes, points = (values.reshape(-1, values.shape[-1]) for values in output)
    scores: F32 = np.sqrt(np.clip(kind[:, 0], 0, 1) * np.clip(thing[:, 0], 0, 1))
    hits = np.flatnonzero(scores >= threshold)
    cells = np.stack([hits % columns, hits // columns], axis=1).astype(np.float32)
    centres = (cells + boxes[hits, :2]) * stride
    half = np.exp(boxes[hits, 2:]) * (stride / 2)
    landmarks = (cells[:, None] + points[hits].reshape(-1, 5, 2)) * stride
    corners = np.concatenate([centres - half, centres + half], axis=1)
    return Detections(corners, scores[hits], landmarks)
