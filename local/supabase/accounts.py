"""Users, sessions and refresh tokens in the schema ``auth``, kept as GoTrue keeps them."""

import hashlib
import hmac
import json
import re
import secrets
import time
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from local.supabase.keys import Keys

EXPIRES_SECONDS = 3600
REUSE_SECONDS = 10  # how long a refresh token that was used may be used again: tabs that race
LEAST_PASSWORD, MOST_PASSWORD = 6, 72
Json = dict[str, Any]
_BY_EMAIL = {"provider": "email", "providers": ["email"]}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|[^@\s]+@localhost")


class AuthError(Exception):
    """An answer that is not 2xx: a status, one of GoTrue's codes, and its words."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.more = status, code, message, more


class ReusedToken(AuthError):
    """A refresh token that somebody else used before: what was done about it is kept."""


class Accounts:
    """What can be done with users, in one transaction of the role ``supabase_auth_admin``."""

    def __init__(self, connection: Connection[Any], keys: Keys, issuer: str) -> None:
        self._cursor = connection.cursor(row_factory=dict_row)
        self._keys, self._issuer = keys, issuer

    def sign_up(self, email: str, password: str, data: Json) -> Json:
        """A user, confirmed at once as with ``supabase start``, and a session. Raises AuthError."""
        email = checked_email(email)
        check_password(password)
        if self._row("select 1 from auth.users where email = %s", email):
            raise AuthError(422, "user_already_exists", "User already registered")
        user = self._create(email, hashed(password), _BY_EMAIL, data)
        self._identify_by_email(user["id"], email)
        return self.begin_session(user["id"], "password")

    def sign_up_anonymously(self, data: Json) -> Json:
        """A user without a name, and a session."""
        user = self._create(None, None, {}, data)
        return self.begin_session(user["id"], "anonymous")

    def sign_in(self, email: str, password: str) -> Json:
        """A session. Raises AuthError, the same for an unknown user and a wrong password."""
        found = self._row(
            "select id, encrypted_password from auth.users where email = %s", email.lower()
        )
        if not found or not is_password(password, found["encrypted_password"]):
            raise AuthError(400, "invalid_credentials", "Invalid login credentials")
        return self.begin_session(found["id"], "password")

    def begin_session(self, user_id: Any, method: str) -> Json:
        """An access token, a refresh token and the user."""
        self._row(
            "update auth.users set last_sign_in_at = now() where id = %s returning id", user_id
        )
        session = self._row(
            "insert into auth.sessions (user_id, method) values (%s, %s) returning *",
            user_id, method,
        )  # fmt: skip
        assert session is not None
        return self._answer(session, self._new_refresh_token(session, parent=None))

    def refresh(self, token: str) -> Json:
        """The next access and refresh token. Raises AuthError; ends a session that was copied."""
        found = self._row(
            "select t.*, extract(epoch from clock_timestamp() - t.updated_at) as age"
            " from auth.refresh_tokens t where token = %s for update", token,
        )  # fmt: skip
        if not found:
            message = "Invalid Refresh Token: Refresh Token Not Found"
            raise AuthError(400, "refresh_token_not_found", message)
        session = self._row(
            "select * from auth.sessions where id = %s for update", found["session_id"]
        )
        assert session is not None  # the token would have gone with it
        if found["revoked"]:
            active = self._row(
                "select * from auth.refresh_tokens where session_id = %s and not revoked"
                " order by id desc limit 1", session["id"],
            )  # fmt: skip
            if active and active["parent"] == token:  # the client lost the answer
                return self._answer(session, active["token"])
            if found["age"] > REUSE_SECONDS:
                self._run(
                    "update auth.refresh_tokens set revoked = true, updated_at = now()"
                    " where session_id = %s and not revoked",
                    session["id"],
                )
                message = "Invalid Refresh Token: Already Used"
                raise ReusedToken(400, "refresh_token_already_used", message)
        self._run(
            "update auth.refresh_tokens set revoked = true, updated_at = now() where id = %s",
            found["id"],
        )
        return self._answer(session, self._new_refresh_token(session, parent=token))

    def known(self, claims: Json) -> Json:
        """The user of a token that is still signed in. Raises AuthError."""
        user = self._row("select * from auth.users where id::text = %s", claims.get("sub", ""))
        if not user:
            message = "User from sub claim in JWT does not exist"
            raise AuthError(403, "user_not_found", message)
        session = claims.get("session_id")
        if session and not self._row("select 1 from auth.sessions where id::text = %s", session):
            message = "Session from session_id claim in JWT does not exist"
            raise AuthError(403, "session_not_found", message)
        return user

    def sign_out(self, claims: Json, scope: str) -> None:
        """End the session of a token, all others of its user, or every one."""
        user, session = self.known(claims)["id"], claims.get("session_id")
        if scope == "global" or session is None:
            self._run("delete from auth.sessions where user_id = %s", user)
        elif scope == "local":
            self._run("delete from auth.sessions where id::text = %s", session)
        elif scope == "others":
            self._run(
                "delete from auth.sessions where user_id = %s and id::text <> %s", user, session
            )
        else:
            raise AuthError(400, "validation_failed", f'Unsupported logout scope "{scope}"')

    def update(self, claims: Json, email: str, password: str, data: Json) -> Json:
        """Another email, confirmed at once, another password, more data; what is "" stays."""
        user = self.known(claims)
        if email and email.lower() != user["email"]:
            self._change_email(user, checked_email(email))
        if password:
            self._change_password(user, email, password, claims)
        self._run(
            "update auth.users set updated_at = now(), raw_user_meta_data ="
            " jsonb_strip_nulls(coalesce(raw_user_meta_data, '{}') || %s::jsonb) where id = %s",
            json.dumps(data), user["id"],
        )  # fmt: skip
        return self.shown(self.known(claims))

    def _change_email(self, user: Json, email: str) -> None:
        if self._row("select 1 from auth.users where email = %s", email):
            message = "A user with this email address has already been registered"
            raise AuthError(422, "email_exists", message)
        self._run(
            "update auth.users set email = %s, email_confirmed_at = now(), is_anonymous = false,"
            " raw_app_meta_data = %s where id = %s",
            email, json.dumps(_BY_EMAIL), user["id"],
        )  # fmt: skip
        self._run("delete from auth.identities where user_id = %s", user["id"])
        self._identify_by_email(user["id"], email)

    def _change_password(self, user: Json, email: str, password: str, claims: Json) -> None:
        if user["is_anonymous"] and not email:
            message = (
                "Updating password of an anonymous user without an email or phone is not allowed"
            )
            raise AuthError(422, "validation_failed", message)
        check_password(password)
        if is_password(password, user["encrypted_password"]):
            message = "New password should be different from the old password."
            raise AuthError(422, "same_password", message)
        self._run(
            "update auth.users set encrypted_password = %s where id = %s",
            hashed(password), user["id"],
        )  # fmt: skip
        self.sign_out(claims, "others")

    def _create(self, email: str | None, password: str | None, meta: Json, data: Json) -> Json:
        created = self._row(
            "insert into auth.users (aud, role, email, encrypted_password, email_confirmed_at,"
            "   raw_app_meta_data, raw_user_meta_data, is_anonymous)"
            " values ('authenticated', 'authenticated', %(email)s, %(password)s,"
            "   case when %(email)s::text is not null then now() end, %(meta)s, %(data)s,"
            "   %(email)s::text is null)"
            " returning *",
            {"email": email, "password": password, "meta": json.dumps(meta),
             "data": json.dumps(data)},
        )  # fmt: skip
        assert created is not None
        return created

    def _identify_by_email(self, user_id: Any, email: str) -> None:
        told = {"sub": str(user_id), "email": email, "email_verified": False}
        self._run(
            "insert into auth.identities (provider_id, user_id, identity_data, provider)"
            " values (%s, %s, %s, 'email')",
            str(user_id), user_id, json.dumps(told),
        )  # fmt: skip

    def _new_refresh_token(self, session: Json, *, parent: str | None) -> str:
        token = secrets.token_urlsafe(12)
        self._run(
            "insert into auth.refresh_tokens (token, user_id, session_id, parent)"
            " values (%s, %s, %s, %s)",
            token, str(session["user_id"]), session["id"], parent,
        )  # fmt: skip
        return token

    def _answer(self, session: Json, refresh_token: str) -> Json:
        user = self._row("select * from auth.users where id = %s", session["user_id"])
        assert user is not None
        now = int(time.time())
        method = {"method": session["method"], "timestamp": int(session["created_at"].timestamp())}
        claims = {
            "iss": self._issuer,
            "sub": str(user["id"]),
            "aud": user["aud"],
            "exp": now + EXPIRES_SECONDS,
            "iat": now,
            "email": user["email"] or "",
            "phone": user["phone"] or "",
            "app_metadata": user["raw_app_meta_data"] or {},
            "user_metadata": user["raw_user_meta_data"] or {},
            "role": user["role"],
            "aal": "aal1",
            "amr": [method],
            "session_id": str(session["id"]),
            "is_anonymous": user["is_anonymous"],
        }
        return {
            "access_token": self._keys.sign(claims),
            "token_type": "bearer",
            "expires_in": EXPIRES_SECONDS,
            "expires_at": claims["exp"],
            "refresh_token": refresh_token,
            "user": self.shown(user),
        }

    def shown(self, user: Json) -> Json:
        """A user as GoTrue shows them."""
        stamps = (
            "email_confirmed_at",
            "confirmed_at",
            "last_sign_in_at",
            "created_at",
            "updated_at",
        )
        self._cursor.execute(
            "select id as identity_id, provider_id as id, user_id, identity_data, provider,"
            " last_sign_in_at, created_at, updated_at, email"
            " from auth.identities where user_id = %s",
            (user["id"],),
        )
        return {
            "id": str(user["id"]),
            "aud": user["aud"],
            "role": user["role"],
            "email": user["email"] or "",
            "phone": user["phone"] or "",
            "app_metadata": user["raw_app_meta_data"] or {},
            "user_metadata": user["raw_user_meta_data"] or {},
            "identities": [_plain(row) for row in self._cursor.fetchall()],
            "is_anonymous": user["is_anonymous"],
        } | {name: user[name].isoformat() for name in stamps if user[name]}

    def _row(self, statement: str, *values: Any) -> Json | None:
        self._run(statement, *values)
        return self._cursor.fetchone()

    def _run(self, statement: str, *values: Any) -> None:
        given = values[0] if values and isinstance(values[0], dict) else values
        self._cursor.execute(statement.encode(), given)


def _plain(row: Json) -> Json:
    plain = (str, dict, list, type(None))
    return {name: v if isinstance(v, plain) else _text(v) for name, v in row.items()}


def _text(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


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
