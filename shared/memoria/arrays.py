"""Names of the types that all modules share. An array's shape stands where it is used."""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Index = NDArray[np.intp]  # row numbers, group numbers, counts
Image = NDArray[np.uint8]  # (h, w, 3) RGB
Box = tuple[int, int, int, int]  # left, top, right, bottom, pixels
