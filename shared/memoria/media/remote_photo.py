"""A photo that lies open in a decoding child."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from memoria.arrays import Box, Image
from memoria.errors import MemoriaError
from memoria.media.budget import MemoryBudget
from memoria.media.child_process import ChildProcess
from memoria.media.photo import LoadedPhoto


@dataclass(frozen=True, slots=True)
class RemotePhoto:
    """A Photo in a child."""

    child: ChildProcess = field(repr=False)
    budget: MemoryBudget = field(repr=False)
    deadline: float
    size: tuple[int, int]

    def frame(self, min_side: int | None = None) -> Image:
        """As photo.Photo says."""
        with self.loaded(min_side) as loaded:
            return loaded.frame

    @contextmanager
    def loaded(self, min_side: int | None) -> Iterator[LoadedPhoto]:
        """As photo.Photo says."""
        plan = self.child.ask({"do": "plan", "min_side": min_side})
        with ExitStack() as held:
            held.enter_context(self.budget.hold(plan["bytes"], self.deadline))
            told, (frame,) = self.child.ask_pixels({"do": "load", "min_side": min_side})
            loaded = _LoadedRemotePhoto(self, frame, told["reduction"], tuple(told["corner"]), plan)
            if plan["bytes_again"]:
                held.close()  # a reduced frame is all there is until regions are asked for
            try:
                yield loaded
            finally:
                with suppress(MemoriaError):
                    self.child.ask({"do": "unload"})  # before the memory is another photo's


@dataclass(frozen=True, slots=True)
class _LoadedRemotePhoto:
    """A LoadedPhoto in a child; its frame is here."""

    photo: RemotePhoto
    frame: Image
    reduction: int
    corner: tuple[int, int]
    plan: dict[str, int]

    def regions(self, boxes: list[Box]) -> Iterator[Image]:
        """As photo.LoadedPhoto says."""
        with self.photo.budget.hold(self.plan["bytes_again"], self.photo.deadline):
            self.photo.child.ask({"do": "regions", "boxes": boxes})
            while True:
                _, images = self.photo.child.ask_pixels({"do": "next"})
                if not images:
                    return
                yield from images
