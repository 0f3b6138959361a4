"""How large an event this instance can group, and how many of them at once.

Decided by arithmetic before anything is loaded: the system's killer of processes would end a run
without a word, and the next one as well. `python -m benchmarks.run_stages` measures the figures.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from memoria.errors import Busy, NeedsMemory

GIB = 1 << 30
IDLE_BYTES = 256 << 20  # the interpreter, numpy, scipy, hdbscan, tiles of the product
# From 20,000 to 100,000 faces a run grows by 11,800 bytes a face: vectors twice, neighbours, what
# is sent back. The rest is for a small run and a callback beside it.
FACE_BYTES = 13_000
# Of one CPU, for each face with each: 2.6 times what grouping and matching took on two cores of our
# own, since a CPU of Cloud Run is half a core.
PAIR_SECONDS = 5e-8
LONGEST_SECONDS = 3600  # Cloud Run hangs up then
PATIENCE_SECONDS = 120  # with others that hold the memory; then the job is tried later
LARGER = "./deploy.sh --cluster-memory 32Gi --cluster-cpu 8"


@dataclass(frozen=True, slots=True)
class Instance:
    """What a run has."""

    memory_bytes: int
    cpus: float

    @property
    def faces_in_memory(self) -> int:
        """As many as fit."""
        return max((self.memory_bytes - IDLE_BYTES) // FACE_BYTES, 0)

    @property
    def faces_in_time(self) -> int:
        """As many as are grouped within the hour: time grows with the square."""
        return math.isqrt(int(LONGEST_SECONDS * self.cpus / PAIR_SECONDS))


class Capacity:
    """Faces that may be in memory at once; safe to use from several threads."""

    def __init__(self, instance: Instance, max_faces: int | None = None) -> None:
        """``max_faces``: CLUSTER_MAX_FACES, instead of what the memory allows."""
        self.instance = instance
        self._given = max_faces
        self.in_memory = instance.faces_in_memory if max_faces is None else max_faces
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, faces: int) -> Iterator[None]:
        """Wait until so many more faces fit, and hold their memory.

        Raises NeedsMemory for more than this instance ever groups, Busy where others hold the
        memory for longer than this one waits.
        """
        if refusal := self._refusal(faces):
            raise NeedsMemory(refusal)
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._held + faces <= self.in_memory, PATIENCE_SECONDS
            ):
                raise Busy("other events hold the memory that this one needs")
            self._held += faces
        try:
            yield
        finally:
            with self._changed:
                self._held -= faces
                self._changed.notify_all()

    def _refusal(self, faces: int) -> str:
        """Why an event of so many faces is not grouped here, and what mends it; or nothing."""
        about, has = f"the event has {faces:,} faces", self.instance
        if faces > self.in_memory and self._given is not None:
            return f"{about}, CLUSTER_MAX_FACES is {self._given:,}: raise it"
        if faces > self.in_memory:
            takes = (IDLE_BYTES + faces * FACE_BYTES) / GIB
            had = f"this instance has {has.memory_bytes / GIB:.1f}"
            return f"{about}: grouping them takes {takes:.1f} GiB, {had}; {LARGER}"
        if faces > has.faces_in_time:
            return f"{about}: grouping them takes over an hour on {has.cpus:g} CPUs; {LARGER}"
        return ""
