"""The checks themselves: a season in order passes, and each kind of loss is seen."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.chaos.findings import find
from tests.chaos.photos import Photo
from tests.chaos.run import Report
from tests.chaos.scene import MAX_IN_FLIGHT
from tests.chaos.snapshot import Job, Media, Snapshot, StoredFace

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONE = "[1" + ",0" * 511 + "]"
TWO = "[0,1" + ",0" * 510 + "]"

PHOTOS = [
    Photo("gala", 1, seed=1, people=(1, 2)),
    Photo("gala", 2, seed=1, people=(1,)),
    Photo("gala", 3, seed=1, broken="noise"),
    Photo("gala", 4, seed=1, deleted=True),
]


def in_order() -> Snapshot:
    """What must be left of PHOTOS."""

    def face(number: int, photo: int, x: float, vector: str, person: str) -> StoredFace:
        return StoredFace(f"face{number}", f"gala-{photo:04d}", [x, 0.1, 0.2, 0.2], vector, person)

    def media(number: int, error: str | None, faces: int | None) -> Media:
        status = "failed" if error else "completed"
        return Media(f"gala-{number:04d}", "gala", status, error, faces, NOON)

    def job(
        name: str,
        kind: str,
        *,
        error: str | None = None,
        seconds: int = 0,
        source: str | None = None,
    ) -> Job:
        status = "failed" if error else "completed"
        at = NOON + timedelta(seconds=seconds)
        media_id = f"gala-{int(name[-1]):04d}" if kind == "process" else None
        return Job(name, kind, "gala", media_id, source, status, 1, error, at, at)

    done = [
        job("process1", "process"),
        job("process2", "process"),
        job("process3", "process", error="unreadable_media"),
        job("cluster", "cluster", seconds=5),
    ]
    callbacks = [job(f"callback-{one.id}", "callback", source=one.id, seconds=6) for one in done]
    return Snapshot(
        media={
            "gala-0001": media(1, None, 2),
            "gala-0002": media(2, None, 1),
            "gala-0003": media(3, "unreadable_media", None),
        },
        faces={
            "gala-0001": [face(1, 1, 0.1, ONE, "ann"), face(2, 1, 0.6, TWO, "bob")],
            "gala-0002": [face(3, 2, 0.1, ONE, "ann")],
        },
        jobs=done + callbacks,
        clustered_at={"gala": NOON + timedelta(seconds=5)},
        deliveries={
            f"callback-{one.id}": [
                {"job_id": one.id, "event_id": "gala", "status": one.status}
                | ({"error": {"code": one.error_code, "message": ""}} if one.error_code else {})
            ]
            for one in done
        },
    )


def broken(season: Snapshot, in_flight: dict[str, int] | None = None) -> set[str]:
    """The promises that a season breaks, compared with one in order."""
    quiet = Report(in_order(), 1, Counter())
    found = find(PHOTOS, quiet, Report(season, 1, Counter(in_flight or {})))
    return {finding.promise for finding in found if finding.broken}


def change_media(season: Snapshot, **changes: object) -> None:
    season.media["gala-0002"] = replace(season.media["gala-0002"], **changes)  # type: ignore[arg-type]


def change_face(season: Snapshot, **changes: object) -> None:
    season.faces["gala-0002"][0] = replace(season.faces["gala-0002"][0], **changes)  # type: ignore[arg-type]


def change_job(season: Snapshot, name: str, **changes: object) -> None:
    at = next(n for n, job in enumerate(season.jobs) if job.id == name)
    season.jobs[at] = replace(season.jobs[at], **changes)  # type: ignore[arg-type]


def owe_twice(season: Snapshot) -> None:
    callback = next(job for job in season.jobs if job.id == "callback-process1")
    season.jobs.append(replace(callback, id="callback-again"))


def run_again(season: Snapshot) -> None:
    cluster = next(job for job in season.jobs if job.id == "cluster")
    season.jobs.append(replace(cluster, id="cluster2"))


def cluster_too_early(season: Snapshot) -> None:
    season.clustered_at["gala"] = NOON - timedelta(seconds=1)


def add_face_of_deleted(season: Snapshot) -> None:
    face = season.faces["gala-0002"][0]
    season.faces["gala-0004"] = [replace(face, media_id="gala-0004")]
    season.media["gala-0004"] = replace(season.media["gala-0002"], id="gala-0004")


def double_face(season: Snapshot) -> None:
    face = season.faces["gala-0002"][0]
    season.faces["gala-0002"].append(replace(face, id="twin", box=[0.12, 0.1, 0.2, 0.2]))


LOSSES: dict[str, tuple[Callable[[Snapshot], object], set[str]]] = {
    "a photo that never ended": (
        lambda s: change_media(s, status="pending"),
        {"every media item completed or failed"},
    ),
    "a photo that vanished": (
        lambda s: s.media.pop("gala-0003"),
        {"every media item completed or failed"},
    ),
    "a wrong reason": (
        lambda s: change_media(s, status="failed", error_code="media_unavailable"),
        {"failed for the right reason"},
    ),
    "something of a deleted photo": (add_face_of_deleted, {"deleted photos left nothing"}),
    "a lost face": (
        lambda s: s.faces.pop("gala-0002"),
        {"the faces that are in the photo", "the fault-free run's people"},
    ),
    "the same face twice": (double_face, {"the faces that are in the photo", "no face twice"}),
    "a lost vector": (
        lambda s: change_face(s, embedding=None),
        {"no embedding lost or changed"},
    ),
    "another vector": (
        lambda s: change_face(s, embedding=TWO),
        {"no embedding lost or changed"},
    ),
    "another person": (
        lambda s: change_face(s, person_id="bob"),
        {"the fault-free run's people"},
    ),
    "two runs at the end": (
        run_again,
        {"one clustering after the last photo", "every outcome called back"},
    ),
    "no run at the end": (cluster_too_early, {"one clustering after the last photo"}),
    "a callback that was not owed": (
        lambda s: change_job(s, "callback-process1", source_job_id="process2"),
        {"every outcome called back", "what was told is what is stored"},
    ),
    "an outcome that is owed twice": (owe_twice, {"every outcome called back"}),
    "a callback that never arrived": (
        lambda s: s.deliveries.pop("callback-process1"),
        {"every outcome called back"},
    ),
    "a callback that tells something else": (
        lambda s: s.deliveries["callback-process1"][0].update(status="failed"),
        {"what was told is what is stored"},
    ),
    "a job that waits for ever": (
        lambda s: change_job(s, "callback-process1", status="queued"),
        {"no job left over or dead", "every outcome called back"},
    ),
}


def test_a_season_in_order_breaks_no_promise() -> None:
    assert not broken(in_order())


@pytest.mark.parametrize("loss", LOSSES)
def test_every_kind_of_loss_is_seen(loss: str) -> None:
    season = in_order()
    happens, promises = LOSSES[loss]
    happens(season)
    assert promises <= broken(season)


def test_more_in_flight_than_allowed_is_seen() -> None:
    assert broken(in_order(), {"process": MAX_IN_FLIGHT["process"] + 1}) == {
        "never more in flight than allowed"
    }
