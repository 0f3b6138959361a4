"""What a search is asked with, by a guest or by the app's backend."""

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from memoria.contracts import Id
from memoria.errors import InvalidRequest
from memoria.search.selfie import Point

_ID = TypeAdapter[str | None](Id | None)
Consent = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=100)]


@dataclass(frozen=True, slots=True)
class Seeker:
    """Who asks: a guest by a token's SHA-256 (hex), or the app's backend by an event."""

    token_hash: str | None = None
    event_id: str | None = None
    guest: str | None = None

    @property
    def is_backend(self) -> bool:
        """Whether the app's backend asks: it is told ids of people, a guest is not."""
        return self.token_hash is None


class BackendSearch(BaseModel):
    """The JSON that the app's backend may send in the place of a form."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    event_id: Id
    media_url: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=8192)]
    consent: Consent
    guest: Id | None = None
    point: tuple[float, float] | None = None


def parse_id(name: str, text: str | None) -> str | None:
    """An id, by the one rule for ids. Raises InvalidRequest, naming the field."""
    try:
        return _ID.validate_python(text)
    except ValidationError:
        raise InvalidRequest(f"{name}: must be 1 to 200 characters, none a control one") from None


def parse_point(text: str | None) -> Point | None:
    """``x,y`` -> two fractions of the upright picture. Raises InvalidRequest."""
    if text is None:
        return None
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise InvalidRequest("point: must be x,y") from None
    return checked_point((x, y))


def checked_point(point: Point | None) -> Point | None:
    """The point, if both numbers are fractions. Raises InvalidRequest."""
    if point and not all(math.isfinite(value) and 0 <= value <= 1 for value in point):
        raise InvalidRequest("point: both numbers must be from 0 to 1")
    return point
