"""Who is asking: what Supabase's gateway and PostgREST make of ``apikey`` and ``Authorization``."""

from dataclasses import dataclass, field
from typing import Any

import jwt
from werkzeug.datastructures import Headers

ROLES = ("anon", "authenticated", "service_role")


class IdentityError(Exception):
    """401, with the body that the platform sends."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(body["message"])
        self.body = body


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets of one local project."""

    secret: str = field(repr=False)  # sb_secret_…: role service_role
    publishable: str = field(repr=False)  # sb_publishable_…: role anon
    jwt_secret: str = field(repr=False)  # signs users' tokens, legacy keys and signed URLs

    def user_token(self, user_id: str, **claims: Any) -> str:
        """What Supabase Auth gives a user who signed in."""
        payload = {"sub": user_id, "role": "authenticated", "aud": "authenticated"} | claims
        return jwt.encode(payload, self.jwt_secret, algorithm="HS256")


def identify(headers: Headers, keys: Keys) -> dict[str, Any]:
    """The claims of the caller; ``claims["role"]`` is one of ROLES. Raises IdentityError."""
    key = headers.get("apikey", "")
    if not key:
        hint = "No `apikey` request header or url param was found."
        raise IdentityError({"message": "No API key found in request", "hint": hint})
    claims = _claims_of_key(key, keys)
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    # the gateway swaps `Bearer sb_…` for the role of the apikey
    if scheme.lower() != "bearer" or bearer == key or bearer.startswith("sb_"):
        return claims
    return _claims_of_token(bearer, keys)


def _claims_of_key(key: str, keys: Keys) -> dict[str, Any]:
    if key == keys.secret:
        return {"role": "service_role"}
    if key == keys.publishable:
        return {"role": "anon"}
    try:
        return _claims_of_token(key, keys)
    except IdentityError:
        hint = "Double check your Supabase `anon` or `service_role` API key."
        raise IdentityError({"message": "Invalid API key", "hint": hint}) from None


def _claims_of_token(token: str, keys: Keys) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token, keys.jwt_secret, algorithms=["HS256"], options={"verify_aud": False}
        )
    except jwt.ExpiredSignatureError:
        raise IdentityError(_refusal("PGRST303", "JWT expired")) from None
    except jwt.InvalidTokenError as exc:
        raise IdentityError(_refusal("PGRST301", f"JWT cannot be verified: {exc}")) from None
    if claims.setdefault("role", "anon") not in ROLES:
        raise IdentityError(_refusal("22023", f'role "{claims["role"]}" does not exist'))
    return claims


def _refusal(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "details": None, "hint": None}
