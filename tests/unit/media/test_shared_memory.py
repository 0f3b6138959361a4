"""Memory that outlives a photo, but never under somebody's eyes."""

import os
from collections.abc import Iterator

import numpy as np
import pytest

from memoria.media import open_photo
from memoria.media.children import Decoders
from memoria.media.shared_memory import KEPT_BYTES, SharedMemory, read, write
from tests.corpus.bombs import saved
from tests.unit.media.test_children import photo

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux's memfd")
SMALL, LARGE = saved(photo(), "PNG"), saved(photo(3000, 2500), "PNG")


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    started = Decoders(1)
    yield started
    started.close()


def test_what_was_written_is_read() -> None:
    memory = SharedMemory()
    write(memory.descriptor, b"longer than the next one")
    write(memory.descriptor, b"one", memoryview(b"two"))
    assert read(memory.descriptor, 6) == b"onetwo"


def test_it_cannot_be_taken_away_from_who_reads_it() -> None:
    memory = SharedMemory()
    write(memory.descriptor, b"pixels")
    with pytest.raises(PermissionError):
        os.ftruncate(memory.descriptor, 0)


def test_the_next_photo_takes_the_same_memory(decoders: Decoders) -> None:
    used = []
    for _ in range(3):
        with decoders.opened(SMALL) as opened:
            assert opened.frame().shape == (480, 640, 3)
            used.append(opened.child._spare)
    assert used[0] is not None
    assert used[0] is used[1] is used[2]


def test_a_frame_that_somebody_holds_stays_as_it_is(decoders: Decoders) -> None:
    with decoders.opened(SMALL) as opened:
        held = opened.frame()
    with decoders.opened(saved(photo().rotate(180), "PNG")) as opened:
        other = opened.frame()
    np.testing.assert_array_equal(held, open_photo(SMALL).frame())
    np.testing.assert_array_equal(other, held[::-1, ::-1])


def test_regions_that_somebody_holds_stay_as_they_are(decoders: Decoders) -> None:
    boxes = [(x, 0, x + 2000, 2500) for x in range(0, 1000, 125)]  # 120 MB: several batches
    with (
        decoders.opened(LARGE) as there,
        there.loaded(None) as loaded,
        open_photo(LARGE).loaded(None) as expected,
    ):
        held = list(loaded.regions(boxes))
        for region, same in zip(held, expected.regions(boxes), strict=True):
            np.testing.assert_array_equal(region, same)


def test_the_memory_of_a_large_photo_goes_with_it(decoders: Decoders) -> None:
    with decoders.opened(LARGE) as opened:
        assert opened.frame().nbytes > KEPT_BYTES
    with decoders.opened(SMALL) as opened:
        assert opened.frame().shape == (480, 640, 3)
        assert opened.child._spare is not None
        assert opened.child._spare.size <= KEPT_BYTES
