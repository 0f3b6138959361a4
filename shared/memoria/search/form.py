"""A guest's form, read in memory: fields first, then one to three pictures.

Werkzeug's own form parser writes parts over 500 kB to a temporary file; a picture of a guest must
never lie on a disk. So its decoder is driven by hand, within limits. The fields come first, so that
a guest who may not search is told so before any picture is read.
"""

from collections.abc import Callable

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
)

from memoria.errors import InvalidRequest
from memoria.search.refusals import SelfieTooLarge

MOST_PICTURES = 3
MAX_PICTURE_BYTES = 10_000_000
MAX_FIELD_BYTES = 4096
MAX_PARTS = 16
FIELDS = ("consent", "point", "guest", "event_id")
PICTURE = "image"
_CHUNK_BYTES = 1 << 16
_BUFFER_BYTES = 4 * _CHUNK_BYTES  # the most that may wait for the end of a part's headers


class SelfieForm:
    """The body of one request, read as far as it is asked for."""

    def __init__(self, content_type: str, read: Callable[[int], bytes]) -> None:
        """``read(n)`` gives up to n bytes of the body, b"" at its end. Raises InvalidRequest."""
        kind, options = parse_options_header(content_type)
        if kind != "multipart/form-data" or not options.get("boundary"):
            raise InvalidRequest("the body must be multipart/form-data")
        self._read = read
        self._decoder = MultipartDecoder(
            options["boundary"].encode("latin-1", "replace"), _BUFFER_BYTES, max_parts=MAX_PARTS
        )
        self._picture_follows = False

    def fields(self) -> dict[str, str]:
        """The fields before the first picture. Raises InvalidRequest, naming the field."""
        found: dict[str, str] = {}
        while isinstance(event := self._next(), Field | File):
            if event.name == PICTURE:
                self._picture_follows = True
                break
            if event.name not in FIELDS or event.name in found:
                raise InvalidRequest(f"{str(event.name)[:40]!r}: not expected here")
            value = self._content(MAX_FIELD_BYTES, str(event.name))
            try:
                found[event.name] = value.decode()
            except UnicodeDecodeError:
                raise InvalidRequest(f"{event.name}: is not UTF-8 text") from None
        return found

    def pictures(self) -> list[bytes]:
        """One to three pictures. Raises InvalidRequest, SelfieTooLarge."""
        found: list[bytes] = []
        while self._picture_follows:
            if len(found) == MOST_PICTURES:
                raise InvalidRequest(f"image: at most {MOST_PICTURES} pictures")
            found.append(self._content(MAX_PICTURE_BYTES, PICTURE))
            event = self._next()
            self._picture_follows = isinstance(event, Field | File)
            if isinstance(event, Field | File) and event.name != PICTURE:
                raise InvalidRequest(f"{str(event.name)[:40]!r}: fields come before the pictures")
        if not found or not all(found):
            raise InvalidRequest("image: one to three pictures are required")
        return found

    def _content(self, limit: int, name: str) -> bytes:
        content = bytearray()
        more = True
        while more:
            event = self._next()
            if not isinstance(event, Data):
                raise InvalidRequest("the form is cut off")
            content += event.data
            more = event.more_data
            if len(content) > limit and name == PICTURE:
                raise SelfieTooLarge(f"image: a picture is over {limit // 1_000_000} MB")
            if len(content) > limit:
                raise InvalidRequest(f"{name}: is over {limit} bytes")
        return bytes(content)

    def _next(self) -> Event:
        """The next event that says something; an Epilogue ends the form."""
        try:
            while True:
                event = self._decoder.next_event()
                if isinstance(event, Field | File | Data | Epilogue):
                    return event
                if isinstance(event, NeedData):
                    self._decoder.receive_data(self._read(_CHUNK_BYTES) or None)
        except RequestEntityTooLarge:
            raise InvalidRequest(
                f"the form has over {MAX_PARTS} parts, or a field too long"
            ) from None
        except ValueError:
            raise InvalidRequest("the form is cut off or malformed") from None
