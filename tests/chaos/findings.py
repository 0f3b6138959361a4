"""What must hold after any run; each check names what is wrong, or nothing."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tests.chaos.photos import Photo
from tests.chaos.run import Report
from tests.chaos.scene import MAX_IN_FLIGHT
from tests.chaos.snapshot import Snapshot, StoredFace

SAME_FACE_IOU = 0.5
SAME_VECTOR = 1e-3  # the largest difference of a component


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise, how many things it was checked on, and those that broke it."""

    promise: str
    checked: int
    broken: list[str]


def find(photos: list[Photo], quiet: Report, chaos: Report) -> list[Finding]:
    """Hold the run under faults to its plan and to the fault-free run."""
    expected = {photo.media_id: photo for photo in photos if not photo.deleted}
    deleted = {photo.media_id for photo in photos if photo.deleted}
    found, reference = chaos.snapshot, quiet.snapshot
    items = len(expected)
    faces = sum(map(len, found.faces.values()))
    events = len(found.clustered_at)
    ended = len(found.ended("process")) + len(found.ended("cluster"))
    return [
        Finding("every media item completed or failed", items, list(_unended(expected, found))),
        Finding("failed for the right reason", items, list(_wrong_reasons(expected, found))),
        Finding("deleted photos left nothing", len(deleted), list(_left_over(deleted, found))),
        Finding("the faces that are in the photo", items, list(_wrong_faces(expected, found))),
        Finding("no face twice", faces, list(_twice(found))),
        Finding("no embedding lost or changed", faces, list(_vectors(found, reference))),
        Finding("one clustering after the last photo", events, list(_clusterings(found))),
        Finding("the fault-free run's people", events, list(_people(found, reference))),
        Finding("every outcome called back", ended, list(_untold(found))),
        Finding("what was told is what is stored", ended, list(_told_wrong(found))),
        Finding("no job left over or dead", len(found.jobs), list(_stuck(found))),
        Finding("never more in flight than allowed", 2, list(_drowned(chaos))),
    ]


def _unended(expected: dict[str, Photo], found: Snapshot) -> Iterator[str]:
    for media_id in expected:
        item = found.media.get(media_id)
        if item is None or item.status not in ("completed", "failed"):
            yield f"{media_id}: {item.status if item else 'vanished'}"


def _wrong_reasons(expected: dict[str, Photo], found: Snapshot) -> Iterator[str]:
    for media_id, photo in expected.items():
        item = found.media.get(media_id)
        if item is not None and item.error_code != photo.error:
            yield f"{media_id}: {item.error_code}, not {photo.error}"


def _left_over(deleted: set[str], found: Snapshot) -> Iterator[str]:
    yield from (f"{item}: its row" for item in deleted & found.media.keys())
    yield from (f"{item}: faces" for item in deleted & found.faces.keys())
    yield from (
        f"{job.media_id}: a {job.kind} job" for job in found.jobs if job.media_id in deleted
    )


def _wrong_faces(expected: dict[str, Photo], found: Snapshot) -> Iterator[str]:
    for media_id, photo in expected.items():
        wanted = 0 if photo.broken else len(photo.people)
        stored = len(found.faces.get(media_id, []))
        item = found.media.get(media_id)
        told = (item.faces_detected or 0) if item else 0
        if not wanted == stored == told:
            yield f"{media_id}: {stored} faces, told {told}, painted {wanted}"


def _twice(found: Snapshot) -> Iterator[str]:
    for media_id, faces in found.faces.items():
        for one, other in combinations(faces, 2):
            if _iou(one.box, other.box) >= SAME_FACE_IOU:
                yield f"{media_id}: {one.id} and {other.id}"


def _iou(a: list[float], b: list[float]) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def _vectors(found: Snapshot, reference: Snapshot) -> Iterator[str]:
    for media_id, faces in reference.faces.items():
        others = found.faces.get(media_id, [])
        for face, other in zip(faces, others, strict=False):
            if face.vector.shape != other.vector.shape:
                yield f"{media_id}: {other.id} has no vector"
            elif np.abs(face.vector - other.vector).max() > SAME_VECTOR:
                yield f"{media_id}: {other.id} has another vector"


def _clusterings(found: Snapshot) -> Iterator[str]:
    for event, clustered_at in found.clustered_at.items():
        last = max(
            item.completed_at
            for item in found.media.values()
            if item.event_id == event and item.completed_at
        )
        runs = [job for job in found.ended("cluster", event) if job.finished_at > last]  # type: ignore[operator]
        # a run that was under way when the last photo came ends after it, too
        begun = [job for job in runs if job.dispatched_at and job.dispatched_at > last]
        if clustered_at is None or clustered_at < last:
            yield f"{event}: not clustered after its last photo"
        elif len(begun or runs) != 1:
            yield f"{event}: {len(begun or runs)} runs after its last photo"


def _people(found: Snapshot, reference: Snapshot) -> Iterator[str]:
    for event in reference.clustered_at:
        ours, theirs = _groups(found, event), _groups(reference, event)
        if ours != theirs:
            yield f"{event}: {len(ours - theirs)} of {len(ours)} people differ"


def _groups(snapshot: Snapshot, event: str) -> set[frozenset[tuple[str, int]]]:
    """People as sets of faces, a face being the n-th of its photo."""
    groups: dict[str, set[tuple[str, int]]] = {}
    for media_id, faces in snapshot.faces.items():
        if snapshot.media[media_id].event_id == event:
            for n, face in enumerate(_in_place(faces)):
                if face.person_id is not None:
                    groups.setdefault(face.person_id, set()).add((media_id, n))
    return {frozenset(group) for group in groups.values()}


def _in_place(faces: list[StoredFace]) -> list[StoredFace]:
    return sorted(faces, key=lambda face: (round(face.box[0], 2), round(face.box[1], 2)))


def _untold(found: Snapshot) -> Iterator[str]:
    callbacks = {job.source_job_id: job for job in found.jobs if job.kind == "callback"}
    owed = Counter(job.source_job_id for job in found.jobs if job.kind == "callback")
    yield from (f"{source}: owed {count} times" for source, count in owed.items() if count > 1)
    for job in (*found.ended("process"), *found.ended("cluster")):
        callback = callbacks.get(job.id)
        if callback is None:
            yield f"{job.kind} {job.id}: nothing owed"
        elif callback.status != "completed":
            yield f"{job.kind} {job.id}: the callback is {callback.status}"
        elif callback.id not in found.deliveries:
            yield f"{job.kind} {job.id}: the app never got it"


def _told_wrong(found: Snapshot) -> Iterator[str]:
    jobs = {job.id: job for job in found.jobs}
    for callback in found.ended("callback"):
        job = jobs[callback.source_job_id or ""]
        for body in found.deliveries.get(callback.id, []):
            right = (job.id, job.event_id, job.status, job.error_code)
            told = (body["job_id"], body["event_id"], body["status"])
            reason = body.get("error", {}).get("code")
            if (*told, reason) != right or "embedding" in str(body):
                yield f"{job.kind} {job.id}: told {told} {reason}"


def _stuck(found: Snapshot) -> Iterator[str]:
    for job in found.jobs:
        dead = job.kind != "process" and job.status == "failed"
        if dead or job.status in ("queued", "dispatched", "running"):
            yield f"{job.kind} {job.id}: {job.status} {job.error_code or ''}"


def _drowned(report: Report) -> Iterator[str]:
    # a callback's first try is the worker's own, and takes no place in the queue
    allowed = Counter({kind: MAX_IN_FLIGHT[kind] for kind in ("process", "cluster")})
    for kind, most in allowed.items():
        if report.most_in_flight[kind] > most:
            yield f"{kind}: {report.most_in_flight[kind]}, allowed {most}"
