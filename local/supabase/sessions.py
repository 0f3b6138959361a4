"""Sessions, access tokens and refresh tokens in the schema ``auth``, kept as GoTrue keeps them."""

import secrets
import time
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from local.supabase.credentials import AuthError, ReusedToken
from local.supabase.keys import Keys
from local.supabase.rows import as_json

EXPIRES_SECONDS = 3600
REUSE_SECONDS = 10  # how long a refresh token that was used may be used again: tabs that race
Json = dict[str, Any]


class Sessions:
    """Of users, in one transaction of the role ``supabase_auth_admin``."""

    def __init__(self, connection: Connection[Any], keys: Keys, issuer: str) -> None:
        self._cursor = connection.cursor(row_factory=dict_row)
        self._keys, self._issuer = keys, issuer

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
            "identities": [as_json(row) for row in self._cursor.fetchall()],
            "is_anonymous": user["is_anonymous"],
        } | {name: user[name].isoformat() for name in stamps if user[name]}

    def _row(self, statement: str, *values: Any) -> Json | None:
        self._run(statement, *values)
        return self._cursor.fetchone()

    def _run(self, statement: str, *values: Any) -> None:
        given = values[0] if values and isinstance(values[0], dict) else values
        self._cursor.execute(statement.encode(), given)
