"""One job from its claim to its end: what *process* and *cluster* have in common.

Claim the job, keep its lease while the work runs, then bring home how it ended: stored, skipped,
failed or put off. What the app is owed by then goes out as a callback.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from memoria import log, metrics
from memoria.callback import Callback
from memoria.contracts import ClusterRequest, Dispatch, Json, ProcessRequest, error_body
from memoria.errors import MemoriaError, Transient
from memoria.store.jobs import Claim, Failed, JobStore, Kind, Skipped, Stored
from memoria.store.sweeper import Sweeper

Request = ProcessRequest | ClusterRequest | Dispatch
Work = Callable[[Claim], tuple[Stored | Skipped, Json]]  # -> how storing ended, what to answer


@dataclass(frozen=True, slots=True)
class JobRunner:
    """The job table and the app's callback; may be used by several threads at once."""

    jobs: JobStore
    callback: Callback
    sweeper: Sweeper

    def run(
        self,
        kind: Kind,
        request: Request,
        work: Work,
        *,
        nothing: Json,
        unknown: Callable[[], Json] | None = None,
    ) -> Json:
        """Do the job that a request names, once, and return the full answer.

        ``nothing``: what a failed answer has in the place of a result. ``unknown``: answers for
        ids that the database does not know; without it they count as gone. Raises Conflict where
        the ids belong to something else, Transient where the job was put off until its next try.
        """
        if isinstance(request, Dispatch) and request.kind == "callback":
            return self._deliver_callback(request)
        ids = _ids(request)
        with log.bound(**ids):
            claim = self.jobs.claim(kind, **ids)
            if isinstance(claim, Claim):
                return ids | self._work(claim, work, nothing)
            if claim.unknown and unknown is not None:
                return ids | unknown() | {"stored": False}
            return _skipped_job(request.job_id, claim)

    def _deliver_callback(self, request: Dispatch) -> Json:
        """Begin a job of kind callback: a slow receiver must not hold a request's thread."""
        self.callback.soon(request.job_id, request.event_id)
        return {"job_id": request.job_id, "status": "accepted"}

    def _work(self, claim: Claim, work: Work, nothing: Json) -> Json:
        started = time.monotonic()
        try:
            with self.jobs.kept(claim):
                saved, answer = work(claim)
        except Exception as error:
            return self._fail(claim, error, nothing | processing_time(started))
        finally:
            self.sweeper.soon()
        if isinstance(saved, Skipped):
            return _skipped(saved)
        self.callback.soon(saved.callback_job_id, claim.event_id)
        return answer | processing_time(started) | {"status": "completed"}

    def _fail(self, claim: Claim, error: Exception, nothing: Json) -> Json:
        """Record why a claimed job failed.

        Returns what to answer where that is final; raises Transient where the job is tried again,
        and MemoriaError where it is a bug of ours (its attempt is recorded as well).
        """
        known = error if isinstance(error, MemoriaError) else _bug()
        recorded = self.jobs.fail(claim, known)
        log.event("job_failed", code=known.code, outcome=recorded.outcome, attempt=claim.attempt)
        if isinstance(recorded, Failed):
            self.callback.soon(recorded.callback_job_id, claim.event_id)
            return failed(known) | nothing
        if isinstance(recorded, Skipped):
            return _skipped(recorded)
        if known is not error:
            raise known from error
        if not isinstance(known, Transient):
            raise Transient(known.message) from error
        raise known


def _bug() -> MemoriaError:
    """What is told of the exception being handled; the log has all of it, whatever comes of it."""
    log.failure("unexpected")
    return MemoriaError("an internal error")


def _ids(request: Request) -> dict[str, str]:
    """What a request names: job_id, event_id and, where it is about one photo, media_id."""
    named = request.model_dump(include={"job_id", "event_id", "media_id"}, exclude_none=True)
    return {name: str(value) for name, value in named.items()}


def failed(error: MemoriaError) -> Json:
    """What an answer says of an error that trying again cannot mend."""
    metrics.error(error.code)
    return {"status": "failed", **error_body(error)}


def processing_time(started: float) -> Json:
    """Seconds since a moment of ``time.monotonic``, as an answer tells them."""
    return {"processing_time_seconds": round(time.monotonic() - started, 3)}


def _skipped(skipped: Skipped) -> Json:
    """What the database does not know is gone."""
    return {"status": "skipped", "reason": "gone" if skipped.unknown else skipped.reason}


def _skipped_job(job_id: str, skipped: Skipped) -> Json:
    return {"job_id": job_id, **_skipped(skipped)}
