"""SCRFD on one canvas (Guo et al. 2021, arXiv:2105.04714).

insightface's own class builds and keeps one session per canvas size, decodes every anchor, and
costs a second of imports: docs/decisions/0202-own-detector.md. Held equal to it by parity tests.
"""

from functools import cached_property
from typing import Any

import cv2
import numpy as np

from memoria.arrays import F32, Image
from memoria.faces.geometry import Detections, joined

_MEAN, _STD = 127.5, 128.0
_LAYOUTS = {9: ((8, 16, 32), 2), 15: ((8, 16, 32, 64, 128), 1)}  # outputs -> strides, anchors


class Detector:
    """One SCRFD network with key points, in an ONNX Runtime session."""

    def __init__(self, session: Any) -> None:
        outputs = session.get_outputs()
        if len(outputs) not in _LAYOUTS:
            raise ValueError(f"a detector with key points has 9 or 15 outputs, not {len(outputs)}")
        self._session = session
        self._strides, self._anchors = _LAYOUTS[len(outputs)]
        self._names = [output.name for output in outputs]
        self._input = session.get_inputs()[0].name

    @cached_property
    def fixed_size(self) -> tuple[int, int] | None:
        """Width and height of the only canvas that the network takes, if there is only one."""
        height, width = self._session.get_inputs()[0].shape[2:]
        return (width, height) if isinstance(width, int) and isinstance(height, int) else None

    def canvas_size(self, width: int, height: int) -> tuple[int, int]:
        """The smallest canvas that the network takes for such an image, or the only one."""
        multiple = self._strides[-1]
        return self.fixed_size or (
            -(-width // multiple) * multiple,
            -(-height // multiple) * multiple,
        )

    def detect(self, canvas: Image, threshold: float) -> Detections:
        """Candidates at or over the threshold, before suppression, in the canvas's pixels.

        canvas (h, w, 3) uint8 RGB, of a ``canvas_size``.
        """
        height, width = canvas.shape[:2]
        blob = cv2.dnn.blobFromImage(canvas, 1 / _STD, (width, height), (_MEAN,) * 3)
        outputs = self._session.run(self._names, {self._input: blob})
        levels = len(self._strides)
        return joined(
            [
                self._decoded(outputs[i::levels], stride, width // stride, threshold)
                for i, stride in enumerate(self._strides)
            ]
        )

    def _decoded(
        self, output: list[F32], stride: int, columns: int, threshold: float
    ) -> Detections:
        """One level: scores (n, 1), edge distances (n, 4), key points (n, 10), in strides."""
        scores, edges, offsets = (values.reshape(-1, values.shape[-1]) for values in output)
        hits = np.flatnonzero(scores[:, 0] >= threshold)
        cell = hits // self._anchors
        centres = np.stack([cell % columns, cell // columns], axis=1).astype(np.float32) * stride
        distances = edges[hits] * stride
        boxes = np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)
        landmarks = centres[:, None] + offsets[hits].reshape(-1, 5, 2) * stride
        return Detections(boxes, scores[hits, 0], landmarks)
