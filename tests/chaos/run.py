"""One season: uploads until all is done, with or without faults."""

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.outages import Chaos, Outages
from tests.chaos.photos import Photo
from tests.chaos.progress import Progress
from tests.chaos.scene import Scene, scene
from tests.chaos.snapshot import Snapshot, take_snapshot
from tests.chaos.uploads import Uploads


class NotDone(Exception):
    """The run did not come to its end in time."""


@dataclass(slots=True)
class Report:
    """What happened in one run."""

    snapshot: Snapshot
    seconds: float
    most_in_flight: Counter[str]
    injected: Counter[str] = field(default_factory=Counter)


def run_quietly(photos: list[Photo], model_dir: Path, seconds: float) -> Report:
    """The same season without any fault."""
    started = time.monotonic()
    with scene(model_dir, None) as place:
        progress = Progress(place.stack.database_url)
        _follow(place, photos, progress, seconds, None)
        return _report(place, progress, started)


def run_in_chaos(
    photos: list[Photo], model_dir: Path, chaos: Chaos, seed: int, seconds: float
) -> Report:
    """Every fault at once. Raises NotDone when the season does not end."""
    started = time.monotonic()
    rng = random.Random(seed)
    with scene(model_dir, rng) as place:
        progress = Progress(place.stack.database_url)
        outages = Outages(place, chaos, rng)
        _follow(place, photos, progress, seconds, outages)
        report = _report(place, progress, started)
        report.injected = outages.injected()
        return report


def _follow(
    place: Scene, photos: list[Photo], progress: Progress, seconds: float, outages: Outages | None
) -> None:
    uploads = Uploads(place.stack, photos)
    deadline = time.monotonic() + seconds
    if outages:
        outages.start()
    try:
        while not (uploads.finished and progress.known and not progress.open):
            if time.monotonic() > deadline:
                raise NotDone(f"{progress.open} photos and jobs are open after {seconds:.0f} s")
            uploads.follow(progress.done, progress.clustered)
            if outages:
                outages.follow(uploads.share(progress.done))
            time.sleep(0.2)
            progress.refresh()
    finally:
        if outages:
            outages.stop()


def _report(place: Scene, progress: Progress, started: float) -> Report:
    snapshot = take_snapshot(place.stack.database_url, place.receiver.deliveries)
    return Report(snapshot, time.monotonic() - started, progress.most_in_flight)
