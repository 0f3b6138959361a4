"""*process*, told from claim to answer: one photo in, its faces out."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoria import log, metrics
from memoria.contracts import Dispatch, Json, ProcessRequest, face_body
from memoria.errors import MediaForbidden, MediaGone, Terminal
from memoria.job import JobRunner, failed, processing_time
from memoria.store.jobs import Claim, Skipped, Stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from memoria.arrays import F32
    from memoria.faces.types import PhotoFaces

NO_FACES: Json = {"faces_detected": 0, "faces": []}


@dataclass(frozen=True, slots=True)
class ProcessPipeline:
    """The collaborators of *process*; each may be used by several threads at once."""

    runner: JobRunner
    fetch_url: Callable[[str], bytes]  # a URL that a caller gave
    fetch_object: Callable[[str, str], bytes]  # bucket and path, as the database knows them
    # the bytes, and the boxes that users drew: (4,) fractions by face id
    find_faces: Callable[[bytes, "Mapping[str, F32]"], "PhotoFaces"]
    # the digest of the bytes, the seconds it took
    save: Callable[[Claim, "PhotoFaces", str, float], Stored | Skipped]

    def run(self, request: ProcessRequest | Dispatch) -> Json:
        """Do the job that a request names, once: the full answer, with faces; see JobRunner.run."""
        url = request.media_url if isinstance(request, ProcessRequest) else None
        return self.runner.run(
            "process",
            request,
            lambda claim: self._work(claim, url),
            nothing=NO_FACES,
            unknown=None if url is None else lambda: self._answer_only(url),
        )

    def _work(self, claim: Claim, url: str | None) -> tuple[Stored | Skipped, Json]:
        started = time.monotonic()
        data = self._fetch(claim, url)
        digest = hashlib.sha256(data).hexdigest()
        photo = self.find_faces(data, claim.drawn)
        seconds = round(time.monotonic() - started, 3)
        with metrics.stage("store"):
            saved = self.save(claim, photo, digest, seconds)
        if isinstance(saved, Stored):
            metrics.faces(len(photo.faces))
            log.event("photo_done", faces=len(photo.faces), seconds=seconds, attempt=claim.attempt)
        return saved, answer(photo)

    def _answer_only(self, url: str) -> Json:
        """Work for ids that the database does not know: answered in full, stored nowhere."""
        started = time.monotonic()
        try:
            photo = self.find_faces(self.fetch_url(url), {})
        except Terminal as error:
            return failed(error) | NO_FACES | processing_time(started)
        metrics.faces(len(photo.faces))
        return answer(photo) | processing_time(started) | {"status": "completed"}

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


def answer(photo: "PhotoFaces") -> Json:
    """What is told of the faces of a photo that could be read."""
    return {
        "faces_detected": len(photo.faces),
        "faces": [face_body(face) for face in photo.faces],
        "model": photo.model,
    }
