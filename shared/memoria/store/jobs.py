"""The job table as a worker sees it: claim, keep, complete, fail. See docs/sql-surface.md."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from memoria import log
from memoria.contracts import bbox_body
from memoria.errors import Conflict, MemoriaError
from memoria.store.client import rpc

if TYPE_CHECKING:
    from supabase import Client

    from memoria.arrays import F32
    from memoria.faces.types import Face, PhotoFaces

Kind = Literal["process", "cluster", "callback"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this worker holds until its lease runs out; the token proves it."""

    job_id: str
    token: str
    event_id: str
    media_id: str | None
    bucket: str | None
    path: str | None
    attempt: int
    lease_seconds: float
    payload: dict[str, Any] | None
    drawn: "dict[str, F32]"  # boxes that users drew: (4,) x y w h, fractions, by face id


@dataclass(frozen=True, slots=True)
class Stored:
    """The result is in the database."""

    outcome: ClassVar = "stored"
    callback_job_id: str | None  # the callback that the app is owed now
    answer: dict[str, Any]  # what else the database tells of the result


@dataclass(frozen=True, slots=True)
class Skipped:
    """Nothing was done, and why: the job is ``unknown``, done, held elsewhere, gone…"""

    outcome: ClassVar = "skipped"
    reason: str

    @property
    def unknown(self) -> bool:
        """Whether the database has never heard of it."""
        return self.reason == "unknown"


@dataclass(frozen=True, slots=True)
class Failed:
    """The job failed for good."""

    outcome: ClassVar = "failed"
    callback_job_id: str | None


@dataclass(frozen=True, slots=True)
class PutOff:
    """The job failed, and is tried again."""

    outcome: ClassVar = "retry"
    next_try_at: str | None


class JobStore:
    """Calls of the worker's SQL functions; safe to share between threads."""

    def __init__(self, client: "Client", max_run_seconds: float = math.inf) -> None:
        """Talk through an open supabase client; no run is kept longer than the most seconds."""
        self.client = client
        self._max_run_seconds = max_run_seconds

    def claim(
        self, kind: Kind, job_id: str, event_id: str, media_id: str | None = None
    ) -> Claim | Skipped:
        """Take the job. Raises Conflict, StoreUnavailable."""
        params = {
            "p_kind": kind,
            "p_job_id": job_id,
            "p_event_id": event_id,
            "p_media_id": media_id,
        }
        # not repeated by itself: a claim whose answer got lost holds the job until its lease ends
        answer = rpc(self.client, "memoria_claim", params, retries=0)
        match answer["outcome"]:
            case "claimed":
                return _claim(answer)
            case "conflict":
                raise Conflict(answer["message"])
            case "unknown":
                return Skipped("unknown")
        return Skipped(answer["reason"])

    def complete_media(
        self, claim: Claim, photo: "PhotoFaces", digest: str, seconds: float
    ) -> Stored | Skipped:
        """Store the faces of a photo; one transaction, safe to repeat.

        ``digest``: the SHA-256 of the bytes that were looked at, in hex.
        """
        result = media_result(photo, digest, seconds)
        return saved(self._finish("memoria_complete_media", claim, p_result=result))

    def complete_callback(self, claim: Claim) -> Stored | Skipped:
        """The app has accepted the outcome; it hears it again where the lease had ended."""
        answer = self._finish("memoria_complete_callback", claim)
        return saved({"callback_job_id": None} | answer)

    def fail(self, claim: Claim, error: MemoriaError) -> Failed | PutOff | Skipped:
        """Record a failure by its policy: for good, or until the next try."""
        told = {"p_code": error.code, "p_message": error.message, "p_policy": error.policy}
        answer = self._finish("memoria_fail", claim, **told)
        match answer["outcome"]:
            case "failed":
                return Failed(answer.get("callback_job_id"))
            case "skipped":
                return Skipped(answer["reason"])
        return PutOff(answer.get("next_try_at"))

    @contextmanager
    def kept(self, claim: Claim) -> Iterator[None]:
        """Extend the run lease in the background while the block runs, but not for ever.

        What takes longer than the most seconds of a run loses its lease, and its attempt counts.
        """
        done = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(claim, done), daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()

    def _keep(self, claim: Claim, done: threading.Event) -> None:
        ends = time.monotonic() + self._max_run_seconds
        while not done.wait(claim.lease_seconds / 3):
            if time.monotonic() > ends:
                log.event("run_too_long", job_id=claim.job_id, seconds=self._max_run_seconds)
                return
            try:
                self._finish("memoria_heartbeat", claim)
            except MemoriaError as error:
                log.event("heartbeat_failed", job_id=claim.job_id, code=error.code)

    def _finish(self, function: str, claim: Claim, **params: Any) -> dict[str, Any]:
        answer = rpc(
            self.client, function, {"p_job_id": claim.job_id, "p_token": claim.token, **params}
        )
        return dict(answer)


def media_result(photo: "PhotoFaces", digest: str, seconds: float) -> dict[str, Any]:
    """What memoria_complete_media is told of a photo."""
    return {
        "digest": digest,
        "model": photo.model,
        "width": photo.width,
        "height": photo.height,
        "processing_time_seconds": seconds,
        "faces": [_face_row(face) for face in photo.faces],
        "drawn": [
            {"face_id": face_id, **(_face_row(face) if face else {"embedding": None})}
            for face_id, face in photo.drawn.items()
        ],
    }


def saved(answer: dict[str, Any]) -> Stored | Skipped:
    """What a function that writes a result answered."""
    if answer["outcome"] != "stored":
        return Skipped(answer["reason"])
    rest = {name: answer[name] for name in answer if name not in ("outcome", "callback_job_id")}
    return Stored(answer["callback_job_id"], rest)


def vector_text(vector: "F32") -> str:
    """A vector as pgvector reads it. Seven digits keep float32 to within 1e-7."""
    return "[" + ",".join(f"{value:.7g}" for value in vector.tolist()) + "]"


def _claim(answer: dict[str, Any]) -> Claim:
    return Claim(
        job_id=answer["job_id"],
        token=answer["token"],
        event_id=answer["event_id"],
        media_id=answer.get("media_id"),
        bucket=answer.get("bucket"),
        path=answer.get("path"),
        attempt=answer["attempt"],
        lease_seconds=answer["lease_seconds"],
        payload=answer.get("payload"),
        drawn={face["face_id"]: _box(face["bbox"]) for face in answer.get("drawn") or ()},
    )


def _box(body: dict[str, float]) -> "F32":
    import numpy as np  # *cluster* and *process* have it; claiming a callback needs none

    return np.array([body[side] for side in "xywh"], dtype=np.float32)


def _face_row(face: "Face") -> dict[str, Any]:
    return {
        "bbox": bbox_body(face),
        "landmarks": [round(float(value), 6) for value in face.landmarks.ravel()],
        "score": round(float(face.score), 5),
        "quality_score": round(float(face.quality), 5),
        "embedding": vector_text(face.embedding),
    }
