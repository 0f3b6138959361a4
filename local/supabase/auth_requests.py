"""What Auth reads from a request, and how it refuses one."""

import json

import jwt
from flask import Response, jsonify, request

from local.supabase.credentials import AuthError
from local.supabase.keys import Keys
from local.supabase.sessions import Json

API_VERSION = "2024-01-01"


def json_body() -> Json:
    """The body; none is an empty object. Raises AuthError for anything else."""
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError as exc:
        message = f"Could not parse request body as JSON: {exc}"
        raise AuthError(400, "bad_json", message) from None
    if not isinstance(body, dict):
        raise AuthError(400, "bad_json", "Could not parse request body as JSON: no object")
    return body


def text_of(body: Json, name: str) -> str:
    """A text of the body; none is empty. Raises AuthError for another type."""
    value = body.get(name) or ""
    if not isinstance(value, str):
        raise AuthError(400, "bad_json", f"Could not parse request body as JSON: {name}")
    return value


def claims_of_request(keys: Keys) -> Json:
    """Of the user who asks. Raises AuthError for who is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        message = "This endpoint requires a valid Bearer token"
        raise AuthError(401, "no_authorization", message)
    try:
        claims = keys.claims(token)
    except jwt.InvalidTokenError as exc:
        message = f"invalid JWT: unable to parse or verify signature, {exc}"
        raise AuthError(403, "bad_jwt", message) from None
    if not claims.get("sub"):
        raise AuthError(403, "bad_jwt", "invalid claim: missing sub claim")
    return claims


def refusal(error: AuthError) -> Response:
    """In the form of the API version that the client speaks."""
    if request.headers.get("X-Supabase-Api-Version", "") >= API_VERSION:
        body: Json = {"code": error.code, "message": error.message}
    else:
        body = {"code": error.status, "error_code": error.code, "msg": error.message}
    response = jsonify(body | error.more)
    response.status_code = error.status
    response.headers["X-Supabase-Api-Version"] = API_VERSION
    response.headers["x-sb-error-code"] = error.code
    return response
