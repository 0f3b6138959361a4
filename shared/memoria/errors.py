"""Three branches, three policies.

::

    MemoriaError
    ├── Refused     4xx, nothing is done: the caller must change the request
    │   ├── InvalidRequest      400
    │   ├── Unauthorized        401
    │   ├── UnknownRoute        404
    │   ├── WrongMethod         405
    │   ├── Conflict            409
    │   └── BodyTooLarge        413
    ├── Terminal    recorded with its reason and acknowledged: trying again cannot mend it
    │   ├── MediaGone           the photo is no longer there
    │   ├── MediaForbidden      the host is not allowed, or denies access
    │   ├── MediaTooLarge       more bytes or pixels than the limit
    │   ├── UnreadableMedia     the bytes are no image, or damaged
    │   ├── UnsupportedMedia    a kind of file that is not a photo
    │   └── CallbackGone        the app's callback wants to hear no more of it
    └── Transient   503, recorded with the next try
        └── Outside     not the work's own fault: no attempt is spent, and it is ridden out for days
            ├── Busy                other work holds what it needs of this instance
            ├── NeedsMemory         the event is too large for this instance: never given up
            ├── MediaUnavailable    the media host timed out, answered 5xx or was not it
            ├── StoreUnavailable    the database did not answer
            │   └── StoreUnreachable    nor could it be asked
            ├── CallbackFailed      the app's callback did not accept the outcome
            └── EngineUnavailable   the model cannot serve now

A message is one plain sentence for the person who reads the error: it names the field or the
limit, and never carries a URL's query, a token, a path of the machine or a vector.
"""

from typing import Any, ClassVar, Literal

# what a recorded failure costs the job: its end, one of its attempts, or only time
Policy = Literal["terminal", "attempt", "outside"]


class MemoriaError(Exception):
    """The root: ``code`` is what programs compare, the message is for people."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    policy: ClassVar[Policy] = "attempt"

    @property
    def message(self) -> str:
        """One plain sentence."""
        return str(self)

    @property
    def details(self) -> dict[str, Any]:
        """What the error's body carries beside code and message."""
        return {}


class Refused(MemoriaError):
    """The request itself is wrong, and nothing was done.

    The function records nothing. But the database sees how its nudge was answered: 400 or 413 ends
    the job with that code, since another nudge would be answered the same (docs/queue.md).
    """

    status = 400


class InvalidRequest(Refused):
    """The body is not what the contract asks for."""

    code = "invalid_request"


class Unauthorized(Refused):
    """No valid secret or signature came with the request."""

    code = "unauthorized"
    status = 401


class UnknownRoute(Refused):
    """There is nothing at this path."""

    code = "not_found"
    status = 404
    sentence: ClassVar[str] = "there is nothing at this path"

    def __init__(self) -> None:
        super().__init__(self.sentence)


class WrongMethod(Refused):
    """The path exists, the method does not."""

    code = "method_not_allowed"
    status = 405


class Conflict(Refused):
    """The ids are known, but belong to something else."""

    code = "conflict"
    status = 409


class BodyTooLarge(Refused):
    """The request body is over its limit."""

    code = "body_too_large"
    status = 413


class Terminal(MemoriaError):
    """Trying again cannot mend it: recorded, acknowledged."""

    status = 200
    policy = "terminal"


class MediaGone(Terminal):
    """The photo is no longer where the database says it is."""

    code = "media_gone"


class MediaForbidden(Terminal):
    """The URL points outside the allowed hosts, or storage denies access."""

    code = "media_forbidden"


class MediaTooLarge(Terminal):
    """The photo has more bytes or pixels than the limit."""

    code = "media_too_large"


class UnreadableMedia(Terminal):
    """The bytes are no image that can be decoded."""

    code = "unreadable_media"


class UnsupportedMedia(Terminal):
    """A file that is no still photo (video, PDF, archive…), or a RAW without a large preview."""

    code = "unsupported_media_type"


class Transient(MemoriaError):
    """Trying again may mend it: the next try is recorded, the answer is 503."""

    code = "temporarily_unavailable"
    status = 503


class Outside(Transient):
    """Something else failed or was in the way, not this work: that costs no attempt."""

    policy = "outside"


class Busy(Outside):
    """Other photos or events held the instance's memory or decoders for too long."""

    code = "instance_busy"


class NeedsMemory(Outside):
    """The event outgrew this instance: it waits, however long, for a larger one."""

    code = "needs_memory"


class MediaUnavailable(Outside):
    """The media host timed out or answered 5xx, or something answered in its place."""

    code = "media_unavailable"


class StoreUnavailable(Outside):
    """The database did not answer, or answered with trouble of its own."""

    code = "store_unavailable"


class StoreUnreachable(StoreUnavailable):
    """It could not even be asked: the message names its address, which strangers are not told."""


class CallbackFailed(Outside):
    """The app's callback did not accept the outcome."""

    code = "callback_failed"


class CallbackGone(Terminal):
    """The app's callback says that it will never accept it: 410."""

    code = "callback_gone"


class EngineUnavailable(Outside):
    """The model cannot serve this request now."""

    code = "engine_unavailable"
