"""Emails and passwords, as GoTrue takes them, and its words where it does not."""

import hashlib
import hmac
import re
import secrets
from typing import Any

LEAST_PASSWORD, MOST_PASSWORD = 6, 72
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|[^@\s]+@localhost")


class AuthError(Exception):
    """An answer that is not 2xx: a status, one of GoTrue's codes, and its words."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.more = status, code, message, more


class ReusedToken(AuthError):
    """A refresh token that somebody else used before: what was done about it is kept."""


def checked_email(email: str) -> str:
    """In lower case. Raises AuthError where it is none."""
    if len(email) > 255 or not _EMAIL.fullmatch(email):
        message = "Unable to validate email address: invalid format"
        raise AuthError(400, "validation_failed", message)
    return email.lower()


def check_password(password: str) -> None:
    """Raises AuthError for one that is too short or too long."""
    if not password:
        raise AuthError(400, "validation_failed", "Signup requires a valid password")
    if len(password) > MOST_PASSWORD:
        message = f"Password cannot be longer than {MOST_PASSWORD} characters"
        raise AuthError(400, "validation_failed", message)
    if len(password) < LEAST_PASSWORD:
        message = f"Password should be at least {LEAST_PASSWORD} characters."
        raise AuthError(422, "weak_password", message, weak_password={"reasons": ["length"]})


def hashed(password: str, salt: bytes | None = None) -> str:
    """Salt and scrypt's digest, in hex: the standard library has no bcrypt, which GoTrue uses."""
    salt = salt or secrets.token_bytes(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, n=1 << 14, r=8, p=1)
    return f"{salt.hex()}:{digest.hex()}"


def is_password(password: str, stored: str | None) -> bool:
    """Whether it is the password that was stored; False for who has none."""
    if not stored:
        return False
    salt = bytes.fromhex(stored.partition(":")[0])
    return hmac.compare_digest(hashed(password, salt), stored)
