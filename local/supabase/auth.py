"""A stand-in for Supabase Auth (GoTrue): sign up, in (by password or anonymously), on and out.

Emails are confirmed at once and anonymous sign-ins are on, as a project on one machine has it.
There are no rate limits, no mails, no other providers.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
from flask import Blueprint, Response, request
from psycopg_pool import ConnectionPool

from local.supabase.accounts import Accounts
from local.supabase.auth_requests import claims_of_request, json_body, refusal, text_of
from local.supabase.credentials import AuthError, ReusedToken
from local.supabase.keys import IdentityError, Keys, identify_key
from local.supabase.sessions import Json

Pool = ConnectionPool[psycopg.Connection[Any]]
Opened = Callable[[], AbstractContextManager[Accounts]]  # accounts in a transaction


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

    _add_sign_in(auth, accounts)
    _add_user(auth, keys, accounts)
    _add_facts(auth)
    _add_errors(auth)
    return auth


def _add_sign_in(auth: Blueprint, accounts: Opened) -> None:
    @auth.post("/signup")
    def sign_up() -> Json:
        body = json_body()
        with accounts() as known:
            if not body.get("email") and not body.get("phone"):
                return known.sign_up_anonymously(body.get("data") or {})
            email = text_of(body, "email")
            return known.sign_up(email, text_of(body, "password"), body.get("data") or {})

    @auth.post("/token")
    def token() -> Json:
        body = json_body()
        with accounts() as known:
            match request.args.get("grant_type"):
                case "password":
                    if not body.get("email"):
                        raise AuthError(400, "validation_failed", "missing email or phone")
                    return known.sign_in(text_of(body, "email"), text_of(body, "password"))
                case "refresh_token":
                    return known.refresh(text_of(body, "refresh_token"))
            raise AuthError(400, "invalid_credentials", "unsupported_grant_type")


def _add_user(auth: Blueprint, keys: Keys, accounts: Opened) -> None:
    @auth.post("/logout")
    def sign_out() -> Response:
        claims = claims_of_request(keys)
        with accounts() as known:
            known.sign_out(claims, request.args.get("scope") or "global")
        return Response(status=204)

    @auth.get("/user")
    def user() -> Json:
        claims = claims_of_request(keys)
        with accounts() as known:
            return known.shown(known.known(claims))

    @auth.put("/user")
    def update_user() -> Json:
        claims, body = claims_of_request(keys), json_body()
        with accounts() as known:
            email, password = text_of(body, "email"), text_of(body, "password")
            return known.update(claims, email, password, body.get("data") or {})


def _add_facts(auth: Blueprint) -> None:
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


def _add_errors(auth: Blueprint) -> None:
    @auth.errorhandler(AuthError)
    def refuse(error: AuthError) -> Response:
        return refusal(error)

    @auth.errorhandler(IdentityError)
    def refuse_key(error: IdentityError) -> tuple[Json, int]:
        return error.body, 401

    @auth.errorhandler(psycopg.Error)
    def fail(error: psycopg.Error) -> Response:
        """An app's trigger on ``auth.users``, for instance; GoTrue keeps the reason to itself."""
        print(f"auth: {error}", flush=True)
        return refusal(AuthError(500, "unexpected_failure", "Database error saving new user"))
