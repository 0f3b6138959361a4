"""Packed pages into arrays."""

from base64 import encodebytes
from typing import Any

import numpy as np
import pytest

from memoria.store.pages import DIMENSIONS, PageBuffer, unpack


def page(first: int, count: int, models: list[str]) -> dict[str, Any]:
    """A page as ``memoria_load_faces`` packs it: big-endian, base64 in lines of 76 characters."""
    rows = np.arange(first, first + count)
    vectors = np.repeat(rows[:, None], DIMENSIONS, axis=1)
    columns = {
        "faces": np.repeat(rows[:, None], 16, axis=1).astype("u1"),
        "photos": (-rows).astype(">i8"),
        "identities": np.zeros((count, 16), "u1"),
        "quality": (rows / 100).astype(">f4"),
        "model_index": (rows % len(models)).astype("u1"),
        "vectors": vectors.astype(">f4"),
    }
    packed = {name: encodebytes(values.tobytes()).decode() for name, values in columns.items()}
    return packed | {"count": count, "models": models}


def test_pages_fill_one_array_each() -> None:
    buffer = PageBuffer.of(8)
    buffer.add(page(1, 3, ["large", "small"]))
    buffer.add(page(4, 2, ["small"]))
    faces = buffer.read()
    assert len(faces) == 5
    assert faces.models == ("large", "small")
    assert faces.model_index.tolist() == [1, 0, 1, 1, 1]
    assert faces.photos.tolist() == [-1, -2, -3, -4, -5]
    assert faces.quality.tolist() == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05])
    assert faces.vectors[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert faces.vectors.dtype == np.float32
    assert faces.ids[:, 15].tolist() == [1, 2, 3, 4, 5]


def test_an_empty_page_is_the_whole_of_an_empty_event() -> None:
    buffer = PageBuffer.of(0)
    nothing = dict.fromkeys(("faces", "photos", "identities", "quality", "model_index", "vectors"))
    buffer.add(nothing | {"count": 0, "models": []})
    assert buffer.read().vectors.shape == (0, DIMENSIONS)


def test_more_faces_than_announced_are_refused() -> None:
    with pytest.raises(ValueError, match="3 faces where 2 were announced"):
        PageBuffer.of(2).add(page(1, 3, ["small"]))


def test_a_column_that_was_cut_short_is_refused() -> None:
    damaged = page(1, 2, ["small"])
    damaged["vectors"] = damaged["vectors"][: len(damaged["vectors"]) // 2]
    with pytest.raises(ValueError, match=r"reshape|padding|multiple"):
        PageBuffer.of(2).add(damaged)


def test_numbers_keep_every_bit() -> None:
    values = np.array([0.1, -1e-7, 3.5], np.float32)
    packed = encodebytes(values.astype(">f4").tobytes()).decode()
    assert np.array_equal(unpack(packed, ">f4", (3,)).astype("f4"), values)
