"""Users in the schema ``auth``, kept as GoTrue keeps them."""

import json
from typing import Any

from local.supabase.credentials import (
    AuthError,
    check_password,
    checked_email,
    hashed,
    is_password,
)
from local.supabase.sessions import Json, Sessions

_BY_EMAIL = {"provider": "email", "providers": ["email"]}


class Accounts(Sessions):
    """What can be done with users, in one transaction of the role ``supabase_auth_admin``."""

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
