"""SCRFD with key points (Guo et al. 2021, arXiv:2105.04714)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from memoria.arrays import F32
from memoria.faces.geometry import Detections, joined

_LAYOUTS = {9: ((8, 16, 32), 2), 15: ((8, 16, 32, 64, 128), 1)}  # outputs -> strides, anchors
_WIDTHS = (1, 4, 10)  # of the outputs' last axis: scores, edge distances, key points


@dataclass(frozen=True)
class Scrfd:
    """Outputs: scores of every stride, then edge distances, then key points."""

    names: list[str]
    strides: tuple[int, ...]
    anchors: int  # per cell

    @classmethod
    def of(cls, shapes: Mapping[str, Sequence[Any]]) -> Self | None:
        """The decoder of a network with these outputs, if they are SCRFD's with key points."""
        if len(shapes) not in _LAYOUTS:
            return None
        strides, anchors = _LAYOUTS[len(shapes)]
        wanted = np.repeat(_WIDTHS, len(strides))
        for shape, width in zip(shapes.values(), wanted, strict=True):
            if shape and isinstance(shape[-1], int) and shape[-1] != width:
                return None
        return cls(list(shapes), strides, anchors)

    @property
    def stride(self) -> int:
        """What the canvas's sides are multiples of, pixels."""
        return self.strides[-1]

    def decoded(self, outputs: list[F32], columns: int, threshold: float) -> Detections:
        """Candidates at or over the threshold, in the canvas's pixels."""
        levels = len(self.strides)
        return joined(
            [
                self._level(outputs[i::levels], stride, columns // stride, threshold)
                for i, stride in enumerate(self.strides)
            ]
        )

    def _level(self, output: list[F32], stride: int, columns: int, threshold: float) -> Detections:
        """One level: scores (n, 1), edge distances (n, 4), key points (n, 10), in strides."""
        scores, edges, offsets = (values.reshape(-1, values.shape[-1]) for values in output)
        hits = np.flatnonzero(scores[:, 0] >= threshold)
        cell = hits // self.anchors
        centres = np.stack([cell % columns, cell // columns], axis=1).astype(np.float32) * stride
        distances = edges[hits] * stride
        boxes = np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)
        landmarks = centres[:, None] + offsets[hits].reshape(-1, 5, 2) * stride
        return Detections(boxes, scores[hits, 0], landmarks)
