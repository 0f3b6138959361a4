"""A stand-in for Supabase Auth (GoTrue): sign up, in (by password or anonymously), on and out.

Emails are confirmed at once and anonymous sign-ins are on, as a project on one machine has it.
There are no rate limits, no mails, no other providers.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import psycopg
from flask import Blueprint, Response, jsonify, request
from psycopg_pool import ConnectionPool

from local.supabase.accounts import Accounts
from local.supabase.credentials import AuthError, ReusedToken
from local.supabase.keys import IdentityError, Keys, identify_key
from local.supabase.sessions import Json

API_VERSION = "2024-01-01"
Pool = ConnectionPool[psycopg.Connection[Any]]


def auth_blueprint(pool: Pool, keys: Keys) -> Blueprint:
    """The routes that supabase-js uses for them; the pool's user is ``supabase_auth_admin``."""
    auth = Blueprint("auth", __name__, url_prefix="/auth/v1")

    @contextmanager
    def accounts() -> Iterator[Accounts]:
        refused: ReusedToken | None = None
        with pool.connection() as connection:
            try:
                yield Accounts(connection, keys, f"{request.host_url}auth/v1")
            except ReusedToken as error:
                refused = error
        if refused:
            raise refused

    @auth.before_request
    def know_the_project() -> None:
        identify_key(request.headers, keys)

    @auth.post("/signup")
    def sign_up() -> Json:
        body = _body()
        with accounts() as known:
            if not body.get("email") and not body.get("phone"):
                return known.sign_up_anonymously(body.get("data") or {})
            email = _text(body, "email")
            return known.sign_up(email, _text(body, "password"), body.get("data") or {})

    @auth.post("/token")
    def token() -> Json:
        body = _body()
        with accounts() as known:
            match request.args.get("grant_type"):
                case "password":
                    if not body.get("email"):
                        raise AuthError(400, "validation_failed", "missing email or phone")
                    return known.sign_in(_text(body, "email"), _text(body, "password"))
                case "refresh_token":
                    return known.refresh(_text(body, "refresh_token"))
            raise AuthError(400, "invalid_credentials", "unsupported_grant_type")

    @auth.post("/logout")
    def sign_out() -> Response:
        claims = _claims(keys)
        with accounts() as known:
            known.sign_out(claims, request.args.get("scope") or "global")
        return Response(status=204)

    @auth.get("/user")
    def user() -> Json:
        claims = _claims(keys)
        with accounts() as known:
            return known.shown(known.known(claims))

    @auth.put("/user")
    def update_user() -> Json:
        claims, body = _claims(keys), _body()
        with accounts() as known:
            email, password = _text(body, "email"), _text(body, "password")
            return known.update(claims, email, password, body.get("data") or {})

    @auth.get("/settings")
    def settings() -> Json:
        external = {"email": True, "anonymous_users": True}
        return {"external": external, "disable_signup": False, "mailer_autoconfirm": True}

    @auth.get("/.well-known/jwks.json")
    def signing_keys() -> Json:
        return {"keys": []}  # HS256: the key is a secret

    @auth.get("/health")
    def health() -> Json:
        return {
            "name": "GoTrue",
            "version": "stand-in",
            "description": "a stand-in",
        }

    @auth.errorhandler(AuthError)
    def refuse(error: AuthError) -> Response:
        return _refusal(error)

    @auth.errorhandler(IdentityError)
    def refuse_key(error: IdentityError) -> tuple[Json, int]:
        return error.body, 401

    @auth.errorhandler(psycopg.Error)
    def fail(error: psycopg.Error) -> Response:
        """An app's trigger on ``auth.users``, for instance; GoTrue keeps the reason to itself."""
        print(f"auth: {error}", flush=True)
        return _refusal(AuthError(500, "unexpected_failure", "Database error saving new user"))

    return auth


def _body() -> Json:
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError as exc:
        message = f"Could not parse request body as JSON: {exc}"
        raise AuthError(400, "bad_json", message) from None
    if not isinstance(body, dict):
        raise AuthError(400, "bad_json", "Could not parse request body as JSON: no object")
    return body


def _text(body: Json, name: str) -> str:
    value = body.get(name) or ""
    if not isinstance(value, str):
        raise AuthError(400, "bad_json", f"Could not parse request body as JSON: {name}")
    return value


def _claims(keys: Keys) -> Json:
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


def _refusal(error: AuthError) -> Response:
    if request.headers.get("X-Supabase-Api-Version", "") >= API_VERSION:
        body: Json = {"code": error.code, "message": error.message}
    else:
        body = {"code": error.status, "error_code": error.code, "msg": error.message}
    response = jsonify(body | error.more)
    response.status_code = error.status
    response.headers["X-Supabase-Api-Version"] = API_VERSION
    response.headers["x-sb-error-code"] = error.code
    return response
