"""The Auth stand-in against the real supabase-js: who signs up, in, on and out, and who may not."""

# ruff: noqa: E501 - programs in JavaScript
import json
import time
import uuid

import httpx
import jwt
import psycopg
import pytest

from local.processes.stack import Stack
from tests.local.supabase.javascript import run

pytestmark = pytest.mark.npm


def test_who_signs_up_is_signed_in_with_a_real_token(stack: Stack):
    email = f"{uuid.uuid4()}@Example.com"
    found = run(stack, """
      const one = client()
      const { data, error } = await one.auth.signUp(
        { email: given.email, password: 'correct horse', options: { data: { nick: 'Ann' } } })
      const who = await one.rpc('whoami')
      const user = await one.auth.getUser()
      return { session: data.session, error, who: who.data, user: user.data.user }
    """, email=email)  # fmt: skip
    assert found["error"] is None
    session, user = found["session"], found["user"]
    claims = jwt.decode(
        session["access_token"],
        stack.keys.jwt_secret,
        algorithms=["HS256"],
        audience="authenticated",
    )
    assert (claims["role"], claims["email"]) == ("authenticated", email.lower())
    assert (claims["is_anonymous"], claims["aal"]) == (False, "aal1")
    assert claims["iss"] == f"{stack.supabase_url}/auth/v1"
    assert session["token_type"] == "bearer"
    assert session["expires_in"] == 3600
    assert user["user_metadata"] == {"nick": "Ann"}
    assert user["app_metadata"] == {"provider": "email", "providers": ["email"]}
    assert [identity["provider"] for identity in user["identities"]] == ["email"]
    assert user["confirmed_at"]
    assert (found["who"]["role"], found["who"]["uid"]) == ("authenticated", user["id"])


def test_an_anonymous_user_is_authenticated_and_may_become_somebody(stack: Stack):
    found = run(stack, """
      const one = client()
      const { data } = await one.auth.signInAnonymously({ options: { data: { nick: 'guest' } } })
      const who = (await one.rpc('whoami')).data
      const early = told(await one.auth.updateUser({ password: 'correct horse' }))
      const email = `${crypto.randomUUID()}@example.com`
      const later = await one.auth.updateUser({ email, password: 'correct horse' })
      const again = await client().auth.signInWithPassword({ email, password: 'correct horse' })
      return { first: data.user, who, early, later: later.data.user, again: again.data.user }
    """)  # fmt: skip
    first, later = found["first"], found["later"]
    assert (first["is_anonymous"], first["email"], first["role"]) == (True, "", "authenticated")
    assert first["user_metadata"] == {"nick": "guest"}
    assert found["who"]["uid"] == first["id"]
    assert found["who"]["claims"]["is_anonymous"] is True
    assert found["early"]["error"]["code"] == "validation_failed"
    assert (later["id"], later["is_anonymous"]) == (first["id"], False)
    assert found["again"]["id"] == first["id"]


def test_a_wrong_password_and_an_unknown_user_are_told_the_same(stack: Stack):
    found = run(stack, """
      const known = await person()
      const tries = [{ email: known.email, password: 'wrong horse' },
                     { email: 'nobody@example.com', password: 'correct horse' }]
      return await Promise.all(tries.map(async one => told(await client().auth.signInWithPassword(one))))
    """)  # fmt: skip
    assert [one["error"]["code"] for one in found] == ["invalid_credentials"] * 2
    assert {(e["error"]["status"], e["error"]["message"]) for e in found} == {
        (400, "Invalid login credentials")
    }


@pytest.mark.parametrize(
    ("email", "password", "code", "status"),
    [
        ("taken", "correct horse", "user_already_exists", 422),
        ("new@example.com", "short", "weak_password", 422),
        ("no address", "correct horse", "validation_failed", 400),
        ("new@example.com", "", "validation_failed", 400),
        ("new@example.com", "x" * 73, "validation_failed", 400),
    ],
)
def test_a_sign_up_that_will_not_do_says_why(
    stack: Stack, email: str, password: str, code: str, status: int
):
    key = {"apikey": stack.keys.publishable, "X-Supabase-Api-Version": "2024-01-01"}
    url = f"{stack.supabase_url}/auth/v1/signup"
    if email == "taken":
        email = f"{uuid.uuid4()}@example.com"
        httpx.post(url, json={"email": email, "password": password}, headers=key).raise_for_status()
    answer = httpx.post(url, json={"email": email, "password": password}, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["x-sb-error-code"] == code
    assert ("weak_password" in answer.json()) == (code == "weak_password")
    old = httpx.post(url, json={"email": email, "password": password}, headers=key | {
        "X-Supabase-Api-Version": ""})  # fmt: skip
    assert (old.json()["code"], old.json()["error_code"]) == (status, code)


def test_a_refreshed_session_goes_on_and_a_copied_token_ends_it(stack: Stack):
    found = run(stack, """
      const one = await person()
      const first = one.session.refresh_token
      const second = (await one.auth.refreshSession()).data.session
      const raced = (await client().auth.refreshSession({ refresh_token: first })).data.session
      const third = (await one.auth.refreshSession({ refresh_token: second.refresh_token })).data.session
      const unknown = told(await client().auth.refreshSession({ refresh_token: 'no-such-token' }))
      return { first, second, raced, third, unknown }
    """)  # fmt: skip
    tokens = [found["first"], *(found[name]["refresh_token"] for name in ("second", "third"))]
    assert len(set(tokens)) == 3
    assert found["raced"]["refresh_token"] == tokens[1]  # a tab that lost the answer gets it again
    assert found["unknown"]["error"]["code"] == "refresh_token_not_found"
    refresh = "return told(await client().auth.refreshSession({ refresh_token: given.token }))"
    for token in (tokens[0], tokens[2]):  # the copy, and whoever holds the session's own
        with psycopg.connect(stack.database_url) as connection:
            connection.execute(
                "update auth.refresh_tokens set updated_at = now() - interval '11 s'"
            )
        late = run(stack, refresh, token=token)
        assert late["error"]["code"] == "refresh_token_already_used"


def test_who_signed_out_is_out(stack: Stack):
    found = run(stack, """
      const one = await person()
      const elsewhere = client()
      await elsewhere.auth.signInWithPassword({ email: one.email, password: 'correct horse' })
      const token = one.session.access_token
      const local = told(await one.auth.signOut({ scope: 'local' }))
      const gone = told(await client().auth.getUser(token))
      const other = told(await elsewhere.auth.getUser())
      const refreshed = told(await client().auth.refreshSession({ refresh_token: one.session.refresh_token }))
      await elsewhere.auth.signOut()
      const forged = told(await client().auth.getUser(token.slice(0, -4) + 'AAAA'))
      return { local, gone, other, refreshed, forged }
    """)  # fmt: skip
    assert "error" not in found["local"]
    assert found["gone"]["error"]["name"] == "AuthSessionMissingError"  # of session_not_found
    assert found["other"]["data"]["user"]["id"]
    assert found["refreshed"]["error"]["code"] == "refresh_token_not_found"
    assert (found["forged"]["error"]["status"], found["forged"]["error"]["code"]) == (
        403,
        "bad_jwt",
    )


def test_another_password_ends_the_other_sessions(stack: Stack):
    found = run(stack, """
      const one = await person()
      const elsewhere = client()
      await elsewhere.auth.signInWithPassword({ email: one.email, password: 'correct horse' })
      const same = told(await one.auth.updateUser({ password: 'correct horse' }))
      const changed = await one.auth.updateUser({ password: 'better horse', data: { nick: 'A', old: null } })
      const out = told(await elsewhere.auth.getUser())
      const mine = await one.auth.getUser()
      return { same, changed: changed.data.user, out, mine: mine.data.user }
    """)  # fmt: skip
    assert found["same"]["error"]["code"] == "same_password"
    assert found["changed"]["user_metadata"] == {"nick": "A"}
    assert found["out"]["error"]
    assert found["mine"]["id"] == found["changed"]["id"]


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_a_legacy_key_has_the_role_that_it_says(stack: Stack, role: str):
    key = stack.keys.sign({"iss": "supabase", "role": role, "exp": int(time.time()) + 60})
    who = run(stack, "return (await client(given.key).rpc('whoami')).data", key=key)
    assert who["role"] == role


def test_the_secret_key_is_refused_to_a_browser(stack: Stack):
    url = f"{stack.supabase_url}/rest/v1/rpc/whoami"
    headers = {"apikey": stack.keys.secret, "User-Agent": "Mozilla/5.0 (X11) Firefox/140"}
    answer = httpx.post(url, json={}, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["message"] == "Forbidden use of secret API key in browser"


@pytest.mark.parametrize(
    "path", ["rest/v1/rpc/whoami", "auth/v1/token", "storage/v1/object/a/b", "functions/v1/any"]
)
def test_a_page_of_any_origin_may_ask(stack: Stack, path: str):
    asked = {
        "Origin": "http://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "apikey,authorization,x-client-info,content-type",
    }
    answer = httpx.options(f"{stack.supabase_url}/{path}", headers=asked)
    assert answer.is_success
    assert answer.headers["access-control-allow-origin"] in ("*", "http://app.example")
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == asked["Access-Control-Request-Headers"]
    refused = httpx.post(f"{stack.supabase_url}/{path}", headers={"Origin": "http://app.example"})
    assert refused.headers["access-control-allow-origin"] == "*"  # the page reads why


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "functions/v1/ml-callback"), ("PUT", "storage/v1/_outage")]
)
def test_what_only_tests_ask_is_closed_to_pages(stack: Stack, method: str, path: str):
    headers = {"Origin": "http://app.example", "Access-Control-Request-Method": method}
    url = f"{stack.supabase_url}/{path}"
    if method == "PUT":
        assert httpx.options(url, headers=headers).status_code == 404
    else:
        assert "access-control-allow-origin" not in httpx.request(method, url).headers


def test_a_body_that_is_not_json_is_told(stack: Stack):
    url, key = f"{stack.supabase_url}/auth/v1/signup", {"apikey": stack.keys.publishable}
    for body in ("{", "[]", json.dumps({"email": 5, "password": "correct horse"})):
        answer = httpx.post(url, content=body, headers=key)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "bad_json")
