"""*cluster*, told from claim to answer: the faces of an event in, its people out."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoria import log, metrics
from memoria.contracts import ClusterRequest, Dispatch, Json
from memoria.job import JobRunner, processing_time
from memoria.store.jobs import Claim, Skipped, Stored

if TYPE_CHECKING:
    from memoria.capacity import Capacity
    from memoria.people.suggestions import Suggestion
    from memoria.people.types import EventFaces, KnownPeople, PeopleResult

NOBODY: Json = {"total_faces": 0, "clusters_created": 0, "noise_faces": 0, "clusters": []}


@dataclass(frozen=True, slots=True)
class ClusterPipeline:
    """The collaborators of *cluster*."""

    runner: JobRunner
    count: Callable[[str], int]  # the event's faces, by its id
    capacity: "Capacity"
    load: Callable[[str], "tuple[EventFaces, KnownPeople]"]  # by the event's id
    regroup: Callable[["EventFaces", "KnownPeople", str], "PeopleResult"]
    suggest: Callable[["PeopleResult", "KnownPeople"], "tuple[Suggestion, ...]"]
    # the result, the questions it leaves, the seconds it took
    save: Callable[[Claim, "PeopleResult", "tuple[Suggestion, ...]", float], Stored | Skipped]

    def run(self, request: ClusterRequest | Dispatch) -> Json:
        """Group the faces of the event that a request names, once; see JobRunner.run."""
        return self.runner.run(
            "cluster",
            request,
            self._work,
            nothing=NOBODY,
            unknown=_answer_only if isinstance(request, ClusterRequest) else None,
        )

    def _work(self, claim: Claim) -> tuple[Stored | Skipped, Json]:
        with self.capacity.hold(self.count(claim.event_id)):
            return self._group(claim)

    def _group(self, claim: Claim) -> tuple[Stored | Skipped, Json]:
        started = time.monotonic()
        with metrics.stage("load"):
            faces, known = self.load(claim.event_id)
        with metrics.stage("group"):
            people = self.regroup(faces, known, claim.event_id)
        with metrics.stage("suggest"):
            asked = self.suggest(people, known)
        seconds = round(time.monotonic() - started, 3)
        with metrics.stage("store"):
            saved = self.save(claim, people, asked, seconds)
        if isinstance(saved, Skipped):
            return saved, {}
        seconds = round(time.monotonic() - started, 3)
        log.event("event_clustered", people=saved.answer["clusters_created"], seconds=seconds)
        return saved, saved.answer


def _answer_only() -> Json:
    """For an event that the database does not know: there is nobody in it."""
    return NOBODY | processing_time(time.monotonic()) | {"status": "completed"}
