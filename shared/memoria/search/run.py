"""*search*, told from the guest's pictures to the guest's photos."""

from collections.abc import Callable
from dataclasses import dataclass

from memoria import log, metrics
from memoria.contracts import Json, bbox_body
from memoria.errors import (
    InvalidRequest,
    MediaTooLarge,
    MemoriaError,
    Refused,
    Terminal,
    UnsupportedMedia,
)
from memoria.faces.types import PhotoFaces
from memoria.search.database import SearchStore
from memoria.search.likeness import Rule
from memoria.search.refusals import SelfieTooLarge, UnreadableSelfie, UnsupportedSelfie
from memoria.search.request import Seeker
from memoria.search.selfie import Picture, Point, Selfie, selfie_of

_TOLD_OF_A_PHOTO = ("media_id", "bbox", "width", "height", "band")
SignUrls = Callable[[list[Json]], list[str | None]]  # photos with bucket and paths -> URLs


@dataclass(frozen=True, slots=True)
class SearchPipeline:
    """The collaborators of *search*; each may be used by several threads at once."""

    store: SearchStore
    find_faces: Callable[[bytes], PhotoFaces]
    fetch_url: Callable[[str], bytes]
    sign_urls: SignUrls
    rule: Rule
    least: float  # the similarity under which two faces speak for two people
    model: str

    def run(
        self,
        seeker: Seeker,
        consent: str | None,
        pictures: Callable[[], list[bytes]],
        point: Point | None,
    ) -> Json:
        """One search. ``pictures`` is called only after the search was allowed. Raises Refused."""
        search_id, event_id = self.store.begin(seeker, consent)
        with log.bound(search_id=search_id, event_id=event_id):
            try:
                selfie = self._selfie(pictures(), point)
            except MemoriaError as error:
                self._note_refusal(search_id, error.code)
                raise
            with metrics.stage("search"):
                found = self.store.find(search_id, selfie, self.model, self.rule)
            log.event("searched", outcome=found["outcome"], matches=len(found["matches"]))
            return self._answer(search_id, selfie, found, seeker)

    def _note_refusal(self, search_id: str, code: str) -> None:
        """In the audit; where that fails, the guest hears of the picture all the same."""
        try:
            self.store.refuse(search_id, code)
        except MemoriaError as trouble:
            log.event("refusal_not_noted", code=code, error=trouble.code)

    def again(self, search_id: str, seeker: Seeker) -> Json:
        """Today's photos of what a search found. Raises Refused."""
        found = self.store.again(search_id, seeker)
        return {
            "search_id": search_id,
            "event_id": found["event_id"],
            "outcome": found["outcome"],
            "photos": self._photos(found["photos"]),
            "complete": found["complete"],
        }

    def request_removal(self, search_id: str, seeker: Seeker) -> Json:
        """Ask the host for it. Raises UnknownSearch."""
        asked = self.store.request_removal(search_id, seeker)
        return {"search_id": search_id, "removal_requested_at": asked["removal_requested_at"]}

    def _selfie(self, pictures: list[bytes], point: Point | None) -> Selfie:
        found = []
        for number, data in enumerate(pictures, start=1):
            photo = self._looked_at(data, number)
            found.append(Picture(photo.faces, photo.width, photo.height))
        return selfie_of(found, self.least, point)

    def _looked_at(self, data: bytes, number: int) -> PhotoFaces:
        try:
            return self.find_faces(data)
        except Terminal as error:
            raise _refusal(error, number) from error

    def _answer(self, search_id: str, selfie: Selfie, found: Json, seeker: Seeker) -> Json:
        quality = round(selfie.face.quality, 4)
        return {
            "search_id": search_id,
            "event_id": found["event_id"],
            "outcome": found["outcome"],
            "face": {"bbox": bbox_body(selfie.face), "quality_score": quality},
            "matches": [self._match(match, seeker) for match in found["matches"]],
            "searched": found["searched"],
            "model": self.model,
            "thresholds": self.rule.source,
            "complete": found["complete"],
        }

    def _match(self, match: Json, seeker: Seeker) -> Json:
        told: Json = {name: match[name] for name in ("match", "confidence", "band")}
        if seeker.is_backend:
            told["person_id" if match["is_person"] else "face_id"] = match["subject"]
        return told | {"photos": self._photos(match["photos"])}

    def _photos(self, photos: list[Json]) -> list[Json]:
        urls = self.sign_urls(photos)
        return [
            {name: photo[name] for name in _TOLD_OF_A_PHOTO} | {"url": url}
            for photo, url in zip(photos, urls, strict=True)
        ]


def _refusal(error: Terminal, number: int) -> Refused:
    """What a photo would fail with, as a refusal of the request."""
    kinds: dict[type[Terminal], type[Refused]] = {
        MediaTooLarge: SelfieTooLarge,
        UnsupportedMedia: UnsupportedSelfie,
    }
    kind = kinds.get(type(error), UnreadableSelfie)
    return kind(f"picture {number}: {error.message}")


def fetched(fetch_url: Callable[[str], bytes], url: str) -> Callable[[], list[bytes]]:
    """The picture behind a URL that the backend sent, fetched when it is asked for."""

    def pictures() -> list[bytes]:
        try:
            return [fetch_url(url)]
        except Terminal as error:
            raise InvalidRequest(f"media_url: {error.message}") from error

    return pictures
