"""Who is asking: what Supabase's gateway and PostgREST make of ``apikey`` and ``Authorization``."""

import re
from dataclasses import dataclass, field
from typing import Any

import jwt
from werkzeug.datastructures import Headers

ROLES = ("anon", "authenticated", "service_role")
_NOT_IN_A_BROWSER = (
    "Secret API keys can only be used in a protected environment and should never be used"
    " in a browser."
)
_BROWSER = re.compile(r"Mozilla/\d")


class IdentityError(Exception):
    """401, with the body that the platform sends."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(body["message"])
        self.body = body


class TokenError(IdentityError):
    """The bearer token is no good: each service has words of its own for that."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets of one local project."""

    secret: str = field(repr=False)  # sb_secret_…: role service_role
    publishable: str = field(repr=False)  # sb_publishable_…: role anon
    jwt_secret: str = field(repr=False)  # signs users' tokens, legacy keys and signed URLs

    def user_token(self, user_id: str, **claims: Any) -> str:
        """What Supabase Auth gives a user who signed in."""
        payload = {"sub": user_id, "role": "authenticated", "aud": "authenticated"} | claims
        return self.sign(payload)

    def sign(self, payload: dict[str, Any]) -> str:
        """Any claims as a token of this project."""
        return jwt.encode(payload, self.jwt_secret, algorithm="HS256")

    def claims(self, token: str) -> dict[str, Any]:
        """What a token of this project says. Raises ``jwt.InvalidTokenError``."""
        claims: dict[str, Any] = jwt.decode(
            token, self.jwt_secret, algorithms=["HS256"], options={"verify_aud": False}
        )
        return claims


def identify(headers: Headers, keys: Keys) -> dict[str, Any]:
    """The claims of the caller; ``claims["role"]`` is one of ROLES. Raises IdentityError."""
    claims, key = identify_key(headers, keys), headers["apikey"]
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    # the gateway swaps `Bearer sb_…` for the role of the apikey
    if scheme.lower() != "bearer" or bearer == key or bearer.startswith("sb_"):
        return claims
    return _claims_of_token(bearer, keys)


def identify_key(headers: Headers, keys: Keys) -> dict[str, Any]:
    """The claims of the key alone: what the gateway asks for. Raises IdentityError."""
    key = headers.get("apikey", "")
    if not key:
        hint = "No `apikey` request header or url param was found."
        raise IdentityError({"message": "No API key found in request", "hint": hint})
    return _claims_of_key(key, keys, headers.get("user-agent", ""))


def _claims_of_key(key: str, keys: Keys, agent: str) -> dict[str, Any]:
    if key == keys.secret:
        if _BROWSER.match(agent):
            hint = _NOT_IN_A_BROWSER
            raise IdentityError(
                {"message": "Forbidden use of secret API key in browser", "hint": hint}
            )
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
        claims = keys.claims(token)
    except jwt.ExpiredSignatureError:
        raise TokenError(_refusal("PGRST303", "JWT expired")) from None
    except jwt.InvalidTokenError as exc:
        raise TokenError(_refusal("PGRST301", f"JWT cannot be verified: {exc}")) from None
    if claims.setdefault("role", "anon") not in ROLES:
        raise TokenError(_refusal("22023", f'role "{claims["role"]}" does not exist'))
    return claims


def _refusal(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "details": None, "hint": None}
