"""The HTTP bodies: what callers send and what they are answered (docs/http.md)."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from memoria.errors import InvalidRequest, MemoriaError

if TYPE_CHECKING:
    from memoria.faces.types import Face

Id = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"),
]
Json = dict[str, Any]
LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class ProcessRequest(_Body):
    """A direct request to *process*: find the faces of one media item."""

    job_id: Id
    media_id: Id
    event_id: Id
    media_url: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=8192)]


class ClusterRequest(_Body):
    """A direct request to *cluster*: group the faces of one event into people."""

    job_id: Id
    event_id: Id


class Dispatch(_Body):
    """A row of ``memoria.dispatches``: the nudge that names a job."""

    kind: Literal["process", "cluster", "callback"]
    job_id: Id
    event_id: Id
    media_id: Id | None = None


class Webhook(_Body):
    """The standard Supabase database webhook for a row inserted into ``memoria.dispatches``."""

    type: Literal["INSERT"]
    table: Literal["dispatches"]
    schema_name: Annotated[Literal["memoria"], Field(alias="schema")]
    record: Dispatch


Body = TypeVar("Body", bound=BaseModel)


def parse_body(raw: bytes, direct: type[Body]) -> Body | Dispatch:
    """Bytes of a request body -> a direct request, or the dispatch that a webhook carries.

    Raises InvalidRequest, naming the first wrong field.
    """
    body = _json_object(raw)
    if "record" in body and "type" in body:
        return _validated(body, Webhook).record
    return _validated(body, direct)


def parse_object(raw: bytes, model: type[Body]) -> Body:
    """Bytes of a request body -> what they say. Raises InvalidRequest, naming the wrong field."""
    return _validated(_json_object(raw), model)


def _json_object(raw: bytes) -> Json:
    try:
        body = json.loads(raw)
    except (UnicodeDecodeError, RecursionError, ValueError):
        raise InvalidRequest("the body is not valid JSON") from None
    if not isinstance(body, dict):
        raise InvalidRequest("the body must be a JSON object")
    return body


def _validated(body: Json, model: type[Body]) -> Body:
    try:
        return model.model_validate(body)
    except ValidationError as exc:
        problem = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in problem["loc"]) or "the body"
        text = "is missing" if problem["type"] == "missing" else problem["msg"]
        raise InvalidRequest(f"{field}: {text[:1].lower()}{text[1:]}") from None


def error_body(error: MemoriaError) -> Json:
    """The body of every error."""
    return {"error": {"code": error.code, "message": error.message, **error.details}}


def bbox_body(face: "Face") -> Json:
    """The box as fractions of the upright image."""
    x, y, w, h = (round(float(value), 6) for value in face.box)
    return {"x": x, "y": y, "w": w, "h": h}


def face_body(face: "Face") -> Json:
    """One face of the full answer to a direct request."""
    return {
        "bbox": bbox_body(face),
        "embedding": [round(float(value), 7) for value in face.embedding],
        "quality_score": round(face.quality, 4),
        "landmarks": {
            name: {"x": round(float(x), 6), "y": round(float(y), 6)}
            for name, (x, y) in zip(LANDMARKS, face.landmarks, strict=True)
        },
    }
