"""Packed pages of faces into arrays: see ``memoria_load_faces`` in docs/sql-surface.md.

Every column of a page is one base64 value of big-endian numbers, so that numpy decodes it without
a Python object per face, straight into the one array that holds all of them.
"""

from base64 import b64decode
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from memoria.people.types import EventFaces

DIMENSIONS = 512
Page = dict[str, Any]


@dataclass(slots=True, eq=False)
class PageBuffer:
    """Space for ``total`` faces, filled page by page."""

    faces: EventFaces
    filled: int = 0

    @classmethod
    def of(cls, total: int) -> "PageBuffer":
        """Empty, with everything allocated."""
        return cls(
            EventFaces(
                ids=np.zeros((total, 16), np.uint8),
                photos=np.zeros(total, np.int64),
                identities=np.zeros((total, 16), np.uint8),
                quality=np.zeros(total, np.float32),
                models=(),
                model_index=np.zeros(total, np.uint8),
                vectors=np.zeros((total, DIMENSIONS), np.float32),
            )
        )

    def add(self, page: Page) -> None:
        """Decode one page behind the ones before it.

        Raises ValueError if a column does not hold ``count`` values or the page does not fit.
        """
        count, models = int(page["count"]), tuple(page["models"])
        place = slice(self.filled, self.filled + count)
        faces = self.faces
        if self.filled + count > len(faces):
            raise ValueError(f"{self.filled + count} faces where {len(faces)} were announced")
        if count:
            merged = (*faces.models, *(name for name in models if name not in faces.models))
            index = np.array([merged.index(name) for name in models], np.uint8)
            faces.ids[place] = unpack(page["faces"], np.uint8, (count, 16))
            faces.photos[place] = unpack(page["photos"], ">i8", (count,))
            faces.identities[place] = unpack(page["identities"], np.uint8, (count, 16))
            faces.quality[place] = unpack(page["quality"], ">f4", (count,))
            faces.model_index[place] = index[unpack(page["model_index"], np.uint8, (count,))]
            faces.vectors[place] = unpack(page["vectors"], ">f4", (count, DIMENSIONS))
            self.faces = replace(faces, models=merged)
        self.filled += count

    def read(self) -> EventFaces:
        """What came, without the space that was left."""
        columns = ("ids", "photos", "identities", "quality", "model_index", "vectors")
        return replace(
            self.faces, **{name: getattr(self.faces, name)[: self.filled] for name in columns}
        )


def unpack(column: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Base64 of packed values -> a read-only view of that shape. Raises ValueError."""
    return np.frombuffer(b64decode(column), dtype).reshape(shape)
