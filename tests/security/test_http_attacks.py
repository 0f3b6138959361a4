"""Attacks on the functions' door: forged and stale signatures, oversized and odd requests."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from types import SimpleNamespace

import functions_framework
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from memoria.auth import TOLERANCE_SECONDS, sign
from memoria.request_body import MAX_BODY_BYTES
from tests.deploy.project import ROOT

SECRET = "a-secret-between-friends"
PREVIOUS = "an-older-secret-between-friends"
BODY = json.dumps({"job_id": "test-123", "event_id": "test-123"}).encode()
NOWHERE = "http://127.0.0.1:9"
STARTED = time.time()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the door's clock: what was signed when this file was read must not age in a long run."""
    monkeypatch.setattr("memoria.auth.time", SimpleNamespace(time=lambda: STARTED))


@pytest.fixture(scope="module", params=["process", "cluster"])
def door(request: pytest.FixtureRequest) -> FlaskClient:
    """A function whose database is out of reach: whoever gets through is answered 400 or 503."""
    environ = {
        "SUPABASE_URL": NOWHERE,
        "SUPABASE_SERVICE_ROLE_KEY": "service-role-key-value",
        "CALLBACK_URL": "off",
        "WEBHOOK_SECRET": SECRET,
        "WEBHOOK_SECRET_PREVIOUS": PREVIOUS,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        source = ROOT / "functions" / request.param / "main.py"
        return functions_framework.create_app(request.param, str(source)).test_client()


def signature(
    *,
    body: bytes = BODY,
    secret: str | bytes = SECRET,
    message_id: str = "msg_1",
    timestamp: str | None = None,
    digest: Callable[..., object] | str = "sha256",
    signed: bytes | None = None,
) -> dict[str, str]:
    when = now(0) if timestamp is None else timestamp
    key = secret.encode() if isinstance(secret, str) else secret
    content = signed if signed is not None else f"{message_id}.{when}.".encode() + body
    mac = base64.b64encode(hmac.new(key, content, digest).digest()).decode()  # type: ignore[arg-type]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": when,
        "webhook-signature": f"v1,{mac}",
    }


def now(offset: float) -> str:
    return str(int(STARTED + offset))


def without(headers: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


def replaced(headers: dict[str, str], **new: str) -> dict[str, str]:
    return headers | {key.replace("_", "-"): value for key, value in new.items()}


GOOD = signature()
MAC = GOOD["webhook-signature"].removeprefix("v1,")
HEX = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()

FORGERIES: dict[str, dict[str, str]] = {
    "nothing": {},
    # bearer secrets
    **{
        f"bearer {index}": {"Authorization": value}
        for index, value in enumerate(
            [
                "", " ", "Bearer", "Bearer ", f"Bearer{SECRET}", SECRET, f"Basic {SECRET}",
                "Bearer null",
                "Bearer undefined", "Bearer off", "Bearer none", f"Bearer {SECRET}x",
                f"Bearer x{SECRET}",
                f"Bearer {SECRET[:-1]}", f"Bearer {SECRET[1:]}", f"Bearer {SECRET.upper()}",
                f"Bearer {SECRET} {SECRET}", f"Bearer {SECRET},{SECRET}", f'Bearer "{SECRET}"',
                f"Bearer {base64.b64encode(SECRET.encode()).decode()}", f"Token {SECRET}",
                f"Bearer Bearer {SECRET}", "Bearer service-role-key-value", "Bearer %00",
                "Bearer \xff\xfe",
                f"Digest {SECRET}", f"Bearer {'a' * 7000}", f"Bearer: {SECRET}",
                "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode(),
                f"Bearer {SECRET.replace('-', '_')}", "Bearer *", "Bearer ' or 1=1 --",
            ]
        )
    },
    # the secret in the wrong place
    "apikey": {"apikey": SECRET},
    "x-webhook-secret": {"X-Webhook-Secret": SECRET},
    "cookie": {"Cookie": f"Authorization=Bearer {SECRET}"},
    "proxy": {"Proxy-Authorization": f"Bearer {SECRET}"},
    "x-forwarded": {"X-Forwarded-Authorization": f"Bearer {SECRET}"},
    "from inside": {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "::1"},
    "method override": {"X-HTTP-Method-Override": "GET", "X-Original-URL": "/health"},
    "internal": {"X-Forwarded-Host": "localhost", "X-CloudScheduler": "true"},
    # stale and odd timestamps, each with a signature that fits it
    **{
        f"age {offset}": signature(timestamp=now(offset))
        for offset in (-10**9, -3600, -TOLERANCE_SECONDS - 30, TOLERANCE_SECONDS + 900, 3600)
    },
    **{
        f"time {number}": signature(timestamp=text)
        for number, text in enumerate(
            [
                "", "0", "-1", "now", "1e9", f"{now(0)}.0", f"+{now(0)}", f" {now(0)}x", "NaN",
                "inf", f"0x{int(STARTED):x}", f"{now(0)}000", "9" * 30, "٣٤٥",
            ]
        )
    },
    # forged signatures
    "other secret": signature(secret="guess"),
    "empty secret": signature(secret=""),
    "service key": signature(secret="service-role-key-value"),
    "base64 secret": signature(secret=base64.b64encode(SECRET.encode())),
    "whsec secret": signature(secret=f"whsec_{SECRET}"),
    "other body": signature(body=b"{}"),
    "body only": signature(signed=BODY),
    "no id": signature(signed=f"{now(0)}.".encode() + BODY),
    "no time": signature(signed=b"msg_1." + BODY),
    "swapped": signature(signed=f"{now(0)}.msg_1.".encode() + BODY),
    "sha1": signature(digest="sha1"),
    "sha512": signature(digest="sha512"),
    "md5": signature(digest="md5"),
    "other id": replaced(GOOD, webhook_id="msg_2"),
    "other time": replaced(GOOD, webhook_timestamp=now(60)),
    "moved dot": replaced(GOOD, webhook_id="msg", webhook_timestamp=f"1.{now(0)}"),
    **{f"missing {name}": without(GOOD, name) for name in GOOD},
    **{f"empty {name}": replaced(GOOD, **{name: ""}) for name in GOOD},
    **{
        f"signature {index}": replaced(GOOD, webhook_signature=value)
        for index, value in enumerate(
            [
                "v1", "v1,", ",", " ", MAC, f"v1 {MAC}", f"v1:{MAC}", f"v1={MAC}", f"V1,{MAC}",
                f"v2,{MAC}",
                f"v1a,{MAC}", f"v0,{MAC}", f"sha256={HEX}", f"v1,{HEX}", f"v1,{MAC[:-1]}",
                f"v1,{MAC}=",
                f"v1,{MAC[:-2]}AA", f"v1,{MAC.swapcase()}", f"v1,,{MAC}", f"v1,{MAC},",
                f"v1,{MAC}\x00",
                "v1," + "A" * 43 + "=", "v1,null", "v1,*", "v1,%s", "v1,\xff\xfe", "v1," + "é" * 43,
                " ".join(["v1,AAAA"] * 2000), " ".join(["v1,AAAA"] * 20 + [f"v1,{MAC}"]),
                f'["v1,{MAC}"]', f"t={now(0)},v1={MAC}",
            ]
        )
    },
    # one of the two kinds done right does not lend itself to the other
    "wrong bearer, wrong signature": {"Authorization": "Bearer x"} | signature(secret="guess"),
    "stripe": {"Stripe-Signature": f"t={now(0)},v1={HEX}"},
    "github": {"X-Hub-Signature-256": f"sha256={HEX}"},
    "svix": {key.replace("webhook", "svix"): value for key, value in GOOD.items()},
}  # fmt: skip


def assert_stranger(response: TestResponse) -> None:
    assert response.status_code == 401
    assert response.get_json() == {
        "error": {"code": "unauthorized", "message": "a valid secret or signature is required"}
    }


@pytest.mark.parametrize("headers", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_or_stale_proof_is_refused_without_detail(
    door: FlaskClient, headers: dict[str, str]
) -> None:
    given = [(name, value.encode("utf-8").decode("latin-1")) for name, value in headers.items()]
    assert_stranger(door.post("/", data=BODY, headers=given, content_type="application/json"))


@pytest.mark.parametrize("secret", [SECRET, PREVIOUS])
def test_both_secrets_of_a_rotation_get_through(door: FlaskClient, secret: str) -> None:
    signed = sign(secret, "msg_1", int(STARTED), b"{}")
    for headers in ({"Authorization": f"Bearer {secret}"}, signed):
        assert door.post("/", data=b"{}", headers=headers).status_code == 400


PATHS = [
    "//health", "/health/", "/health/../", "/HEALTH", "/health%2f", "/health;x", "/ready/",
    "/metrics",
    "/metrics/", "/%6detrics", "/metrics?secret=" + SECRET, "/../etc/passwd",
    "/..%2f..%2fetc/passwd",
    "/static/main.py", "/main.py", "/app/main.py", "/.env", "/.git/config", "/admin", "/debug",
    "/console",
    "/process/", "/cluster/", "/process/../health", "/api/process", "/v1/process", "/login",
    "/index.php",
    "/wp-login.php", "/actuator/env", "/server-status", "/%00", "/\xff", "/a" * 500,
]  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_no_path_gives_a_stranger_more_than_health(
    door: FlaskClient, path: str, method: str
) -> None:
    response = door.open(path, method=method, data=b"")
    assert response.status_code in {200, 301, 308, 400, 401, 404, 405, 500, 503}
    if response.status_code == 200 and response.data:
        assert set(response.get_json()) <= {
            "status", "version", "agreement", "model", "model_loaded", "gpu_available", "inference",
        }  # fmt: skip
    text = response.get_data(as_text=True)
    for secret in (SECRET, PREVIOUS, "service-role-key-value", "Traceback", "/work", "memoria_"):
        assert secret not in text


BODIES = {
    "one byte over": b" " * (MAX_BODY_BYTES + 1),
    "a lot": b"[" * (8 * MAX_BODY_BYTES),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_an_oversized_body_is_refused_whoever_sends_it(door: FlaskClient, body: bytes) -> None:
    known = {"Authorization": f"Bearer {SECRET}"}
    assert door.post("/", data=body, headers=known).status_code == 413
    assert door.post("/", data=body, headers=signature(body=body)).status_code == 413
    assert door.post("/", data=body).status_code == 401


ODD = [
    b"", b"null", b"[]", b'"text"', b"7", b"true", b"{", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf{}",
    b"[" * 100_000,
    b'{"a":' * 50_000, b'{"job_id": NaN}', b'{"job_id": 1e999}', b'{"job_id": {"$gt": ""}}',
    b'{"job_id": ["a"]}', b'{"job_id": null}', b'{"job_id": ""}', b'{"job_id": true}',
    json.dumps({"job_id": "a" * 201, "event_id": "a", "media_id": "a", "media_url": "a"}).encode(),
    json.dumps({"job_id": "a\x00b", "event_id": "a", "media_id": "a", "media_url": "a"}).encode(),
    b'{"type":"INSERT","table":"dispatches","schema":"memoria","record":null}',
    b'{"type":"INSERT","table":"dispatches","schema":"memoria","record":{"kind":"drop"}}',
    b'{"type":"DELETE","table":"dispatches","schema":"memoria","record":{}}',
    b'{"type":"INSERT","table":"users","schema":"auth","record":{}}',
    b'{"type":"INSERT","table":"dispatches","schema":"public","record":{}}',
    b"a=b&c=d", b"<xml/>", b"--x\r\nContent-Disposition: form-data\r\n\r\n",
]  # fmt: skip


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_an_odd_body_from_a_known_caller_is_refused_plainly(door: FlaskClient, body: bytes) -> None:
    response = door.post("/", data=body, headers={"Authorization": f"Bearer {SECRET}"})
    assert response.status_code == 400
    error = response.get_json()["error"]
    assert error["code"] == "invalid_request"
    assert len(error["message"]) < 300
    assert "Traceback" not in error["message"]
