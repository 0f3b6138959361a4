"""*cluster*, told from claim to answer: the faces of an event in, its people out."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoria import log, metrics
from memoria.contracts import ClusterRequest, Dispatch, Json
from memoria.process import deliver_callback, fail, skipped
from memoria.store.jobs import Claim

if TYPE_CHECKING:
    from memoria.callback import Callback
    from memoria.config import Settings
    from memoria.store.jobs import JobStore


@dataclass(frozen=True, slots=True)
class ClusterPipeline:
    """The collaborators of *cluster*."""

    jobs: "JobStore"
    callback: "Callback"
    settings: "Settings"

    def run(self, request: ClusterRequest | Dispatch) -> Json:
        """Group the faces of the event that a request names, once; see ProcessPipeline.run."""
        if isinstance(request, Dispatch) and request.kind == "callback":
            return deliver_callback(self.callback, request)
        ids = {"job_id": request.job_id, "event_id": request.event_id}
        with log.bound(**ids):
            claim = self.jobs.claim("cluster", request.job_id, request.event_id)
            if isinstance(claim, Claim):
                return ids | self._work(claim)
            if claim.unknown and isinstance(request, ClusterRequest):
                return ids | nobody(time.monotonic()) | {"stored": False}
            return skipped(request.job_id, claim)

    def _work(self, claim: Claim) -> Json:
        started = time.monotonic()
        try:
            with self.jobs.kept(claim):
                saved = self._regroup(claim, started)
        except Exception as error:
            return fail(self.jobs, self.callback, claim, error) | nobody(started, failed=True)
        if saved["outcome"] != "stored":
            return {"status": "skipped", "reason": saved["reason"]}
        self.callback.soon(saved.pop("callback_job_id", None), claim.event_id)
        del saved["outcome"]
        seconds = round(time.monotonic() - started, 3)
        log.event("event_clustered", people=saved["clusters_created"], seconds=seconds)
        return saved | {"processing_time_seconds": seconds, "status": "completed"}

    def _regroup(self, claim: Claim, started: float) -> Json:
        # loaded on first use: the service answers /health before hdbscan is imported
        from memoria.people.regroup import regroup
        from memoria.store.people import load_event, save_people

        with metrics.stage("load"):
            faces, known = load_event(self.jobs.client, claim.event_id)
        with metrics.stage("group"):
            people = regroup(
                faces,
                known,
                event_id=claim.event_id,
                min_cluster_size=self.settings.min_cluster_size,
                min_samples=self.settings.min_samples,
                epsilon=self.settings.cluster_epsilon,
                similarities=self.settings.similarity_thresholds,
            )
        seconds = round(time.monotonic() - started, 3)
        with metrics.stage("store"):
            return save_people(self.jobs.client, claim.job_id, claim.token, people, seconds)


def nobody(started: float, *, failed: bool = False) -> Json:
    """The answer for an event without people."""
    empty: Json = {
        "total_faces": 0,
        "clusters_created": 0,
        "noise_faces": 0,
        "clusters": [],
        "processing_time_seconds": round(time.monotonic() - started, 3),
    }
    return empty if failed else empty | {"status": "completed"}
