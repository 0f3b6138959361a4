"""*process*, told from claim to answer: one photo in, its faces out."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from memoria import log, metrics
from memoria.callback import Callback
from memoria.contracts import Dispatch, Json, PhotoFaces, ProcessRequest, error_body, face_body
from memoria.errors import MediaForbidden, MediaGone, MemoriaError, Terminal, Transient
from memoria.store.jobs import Claim, JobStore, NotClaimed


@dataclass(frozen=True, slots=True)
class ProcessPipeline:
    """The collaborators of *process*; each may be used by several threads at once."""

    jobs: JobStore
    callback: Callback
    fetch_url: Callable[[str], bytes]  # a URL that a caller gave
    fetch_object: Callable[[str, str], bytes]  # bucket and path, as the database knows them
    find_faces: Callable[[bytes], PhotoFaces]

    def run(self, request: ProcessRequest | Dispatch) -> Json:
        """Do the job that a request names, once.

        Returns the full answer, with faces. Raises Conflict where the ids belong to something
        else, Transient where the job was put off until its next try.
        """
        if isinstance(request, Dispatch) and request.kind == "callback":
            return deliver_callback(self.callback, request)
        ids = {"job_id": request.job_id, "event_id": request.event_id, "media_id": request.media_id}
        with log.bound(**ids):
            claim = self.jobs.claim("process", request.job_id, request.event_id, request.media_id)
            url = request.media_url if isinstance(request, ProcessRequest) else None
            if isinstance(claim, Claim):
                return ids | self._work(claim, url)
            if claim.unknown and url is not None:
                return ids | self._answer_only(url)
            return skipped(request.job_id, claim)

    def _work(self, claim: Claim, url: str | None) -> Json:
        started = time.monotonic()
        try:
            with self.jobs.kept(claim):
                photo = self.find_faces(self._fetch(claim, url))
                seconds = round(time.monotonic() - started, 3)
                with metrics.stage("store"):
                    stored = self.jobs.complete_media(claim, photo, seconds)
        except Exception as error:
            return fail(self.jobs, self.callback, claim, error) | no_faces(started)
        if stored["outcome"] != "stored":
            return {"status": "skipped", "reason": stored["reason"]}
        self.callback.soon(stored["callback_job_id"], claim.event_id)
        log.event("photo_done", faces=len(photo.faces), seconds=seconds, attempt=claim.attempt)
        return found(photo, started)

    def _answer_only(self, url: str) -> Json:
        """Work for ids that the database does not know: answered in full, stored nowhere."""
        started = time.monotonic()
        try:
            answer = found(self.find_faces(self.fetch_url(url)), started)
        except Terminal as error:
            answer = failed(error) | no_faces(started)
        return answer | {"stored": False}

    def _fetch(self, claim: Claim, url: str | None) -> bytes:
        with metrics.stage("fetch"):
            if url is not None:
                try:
                    return self.fetch_url(url)
                except (MediaForbidden, MediaGone):
                    if not claim.path:
                        raise
                    log.event("url_renewed")  # expired, most likely: ask storage itself
            if not claim.bucket or not claim.path:
                raise MediaGone("the database does not say where the photo lies")
            return self.fetch_object(claim.bucket, claim.path)


def found(photo: PhotoFaces, started: float) -> Json:
    """The answer for a photo that could be read."""
    metrics.faces(len(photo.faces))
    return {
        "faces_detected": len(photo.faces),
        "faces": [face_body(face) for face in photo.faces],
        "processing_time_seconds": round(time.monotonic() - started, 3),
        "status": "completed",
    }


def no_faces(started: float) -> Json:
    """What a failed answer has in the place of faces."""
    return {
        "faces_detected": 0,
        "faces": [],
        "processing_time_seconds": round(time.monotonic() - started, 3),
    }


def failed(error: MemoriaError) -> Json:
    """What an answer says of an error that trying again cannot mend."""
    metrics.error(error.code)
    return {"status": "failed", **error_body(error)}


def skipped(job_id: str, claim: NotClaimed) -> Json:
    """The answer where there is nothing to do; what the database does not know is gone."""
    reason = "gone" if claim.unknown else claim.reason
    return {"job_id": job_id, "status": "skipped", "reason": reason}


def fail(jobs: JobStore, callback: Callback, claim: Claim, error: Exception) -> Json:
    """Record why a claimed job failed.

    Returns what to answer where that is final; raises Transient where the job is tried again,
    and the error itself where it is a bug of ours (its attempt is recorded as well).
    """
    known = error if isinstance(error, MemoriaError) else MemoriaError("an internal error")
    recorded = jobs.fail(claim, known, terminal=isinstance(known, Terminal))
    log.event("job_failed", code=known.code, outcome=recorded["outcome"], attempt=claim.attempt)
    if recorded["outcome"] == "failed":
        callback.soon(recorded.get("callback_job_id"), claim.event_id)
        return failed(known)
    if recorded["outcome"] == "skipped":
        return {"status": "skipped", "reason": recorded["reason"]}
    if isinstance(error, Transient):
        raise error
    if isinstance(error, MemoriaError):
        raise Transient(error.message) from error
    raise error


def deliver_callback(callback: Callback, request: Dispatch) -> Json:
    """Do a job of kind callback."""
    delivered = callback.deliver(request.job_id, request.event_id)
    if isinstance(delivered, NotClaimed):
        return skipped(request.job_id, delivered)
    return {"job_id": request.job_id, "status": "completed"}
