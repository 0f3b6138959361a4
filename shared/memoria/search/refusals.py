"""Why a search is refused; the tree is in memoria/errors.py, these are leaves of Refused.

Every one of them is told to a guest: the message says what to do, and nothing of the event.
"""

from typing import Any

from memoria.errors import Refused


class UnknownSearch(Refused):
    """The token or the search is unknown, expired, revoked or of another event: not told apart."""

    code = "not_found"
    status = 404


class ConsentRequired(Refused):
    """No consent came along, or one to an outdated text."""

    code = "consent_required"
    status = 403


class PersonLimit(Refused):
    """This guest already was as many other people as one guest may be."""

    code = "person_limit"
    status = 403


class EventArchived(Refused):
    """The event is archived: its vectors are gone."""

    code = "event_archived"
    status = 409


class NotGroupedYet(Refused):
    """No photo of the event has been grouped so far."""

    code = "not_grouped_yet"
    status = 409


class ModelChanged(Refused):
    """The event's faces are of another model than the one that looked at the selfie."""

    code = "model_changed"
    status = 409


class SelfieTooLarge(Refused):
    """The picture is over the limit of bytes or pixels."""

    code = "media_too_large"
    status = 413


class UnsupportedSelfie(Refused):
    """The picture is of a kind that is not a still photo."""

    code = "unsupported_media_type"
    status = 415


class UnreadableSelfie(Refused):
    """The picture cannot be decoded."""

    code = "unreadable_media"
    status = 422


class NoFace(Refused):
    """No face was found in a picture."""

    code = "no_face"
    status = 422


class SeveralFaces(Refused):
    """Several faces, none much larger than the others: the guest says which (``point``)."""

    code = "several_faces"
    status = 422

    def __init__(self, message: str, boxes: list[dict[str, float]]) -> None:
        """Tell where the faces are: boxes as fractions of the upright picture, largest first."""
        super().__init__(message)
        self.boxes = boxes

    @property
    def details(self) -> dict[str, Any]:
        """What goes into the error beside code and message."""
        return {"faces": self.boxes}


class SeveralPeople(Refused):
    """The pictures do not show one and the same person."""

    code = "several_people"
    status = 422


class FaceTooSmall(Refused):
    """The face has too few pixels to tell people apart."""

    code = "face_too_small"
    status = 422


class FaceUnclear(Refused):
    """The face is too dark, too blurred or turned too far away."""

    code = "face_unclear"
    status = 422


class TooManySearches(Refused):
    """A limit of searches was met: of this guest, of the link, or of the event's minute."""

    code = "too_many_searches"
    status = 429

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        """Tell after how many seconds another search may be asked for."""
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds

    @property
    def details(self) -> dict[str, Any]:
        """The header Retry-After says the same."""
        return {"retry_after_seconds": self.retry_after_seconds}
