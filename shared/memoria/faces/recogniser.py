"""Aligned crops -> embeddings, in batches of fixed shapes.

ONNX Runtime's arena keeps a plan for every shape it has seen (onnxruntime#11627): two shapes keep
memory bounded, whatever the number of faces (Immich does the same).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32
from memoria.faces.geometry import CROP_PX
from memoria.packs.pack import WeightsUnavailable
from memoria.packs.session import only_input

BATCH = 4
STORED = 512  # numbers of a vector, as the database keeps it
DIMENSIONS = (128, 256, 512)  # of a recogniser's own
GPU_BATCH = 16  # enough to fill one; the last batch is padded, which costs a GPU next to nothing

_BLANK = np.zeros((1, CROP_PX, CROP_PX, 3), np.uint8)


class Recogniser:
    """One network that describes aligned crops, in an ONNX Runtime session.

    Its input is (value - mean) / std of RGB values 0..255. Raises WeightsUnavailable for crops of
    another size, and for vectors that the database cannot hold.
    """

    def __init__(self, session: Any, mean: float, std: float, *, on_gpu: bool = False) -> None:
        source = only_input(session)
        if list(source.shape[2:]) != [CROP_PX, CROP_PX]:
            raise WeightsUnavailable(
                f"the recogniser takes {source.shape}, not crops of {CROP_PX} pixels"
            )
        self._session = session
        self._input = source.name
        fixed = source.shape[0] if isinstance(source.shape[0], int) else 0
        self._batch = fixed or (GPU_BATCH if on_gpu else BATCH)
        self._pads = on_gpu or bool(fixed)
        self._mean, self._std = mean, std
        self.dimension = self._dimension(session.get_outputs()[0].shape)

    def _dimension(self, told: list[int | str]) -> int:
        """How many numbers the network says about a face; one that does not tell is asked."""
        known = told[-1] if told else None
        size = known if isinstance(known, int) else self._run(_BLANK).shape[-1]
        if size not in DIMENSIONS:
            wanted = ", ".join(map(str, DIMENSIONS))
            raise WeightsUnavailable(
                f"the recogniser's vectors have {size} numbers: known are {wanted}"
            )
        return size

    def embed(self, crops: NDArray[np.uint8]) -> F32:
        """(n, 112, 112, 3) uint8 RGB -> (n, 512) raw vectors: their length says something too.

        Shorter ones are padded with zeros, which changes neither lengths nor cosines.
        """
        vectors = np.zeros((len(crops), STORED), np.float32)
        if len(crops):
            found = np.concatenate([self._run(batch) for batch in self._batches(crops)])
            vectors[:, : self.dimension] = found[: len(crops)]
        return vectors

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
