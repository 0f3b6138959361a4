"""Aligned crops -> embeddings, in batches of fixed shapes.

ONNX Runtime's arena keeps a plan for every shape it has seen (onnxruntime#11627): two shapes keep
memory bounded, whatever the number of faces (Immich does the same).
"""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32, Image
from memoria.faces.geometry import CROP_PX

BATCH = 4
GPU_BATCH = 16  # enough to fill one; the last batch is padded, which costs a GPU next to nothing


class Recogniser:
    """One ArcFace network in an ONNX Runtime session."""

    def __init__(self, session: Any, mean: float, std: float, *, on_gpu: bool = False) -> None:
        source = session.get_inputs()[0]
        if list(source.shape[2:]) != [CROP_PX, CROP_PX]:
            raise ValueError(f"a recogniser takes crops of {CROP_PX} pixels, not {source.shape}")
        self._session = session
        self._input = source.name
        fixed = source.shape[0] if isinstance(source.shape[0], int) else 0
        self._batch = fixed or (GPU_BATCH if on_gpu else BATCH)
        self._pads = on_gpu or bool(fixed)
        self._mean, self._std = mean, std

    def embed(self, crops: NDArray[np.uint8]) -> F32:
        """(n, 112, 112, 3) uint8 RGB -> (n, 512) raw vectors: their length says something too."""
        if not len(crops):
            return np.empty((0, 512), np.float32)
        return np.concatenate([self._run(batch) for batch in self._batches(crops)])[: len(crops)]

    def _batches(self, crops: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        """Full batches, then what is left: padded, or on a CPU, where that costs, one by one."""
        missing = -len(crops) % self._batch
        if missing and self._pads:
            crops = np.concatenate([crops, np.zeros((missing, *crops.shape[1:]), np.uint8)])
        whole = len(crops) - len(crops) % self._batch
        for start in range(0, whole, self._batch):
            yield crops[start : start + self._batch]
        for start in range(whole, len(crops)):
            yield crops[start : start + 1]

    def _run(self, crops: NDArray[np.uint8]) -> F32:
        planes = crops.transpose(0, 3, 1, 2).astype(np.float32, order="C")
        blob = (planes - np.float32(self._mean)) / np.float32(self._std)
        (vectors,) = self._session.run(None, {self._input: blob})
        return vectors  # type: ignore[no-any-return]


def aligned_crop(image: Image, transform: F32) -> Image:
    """A face turned upright, its landmarks in place; black beyond the frame. -> (112, 112, 3)."""
    return cv2.warpAffine(  # type: ignore[return-value]
        image, transform, (CROP_PX, CROP_PX), borderValue=0.0
    )
