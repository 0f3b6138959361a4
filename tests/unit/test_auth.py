import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoria.auth import sign, verify
from memoria.errors import Unauthorized

BODY = b'{"type": "INSERT"}'
SECRETS = ("new-secret", "old-secret")


def signed(secret: str = "new-secret", *, age: int = 0, body: bytes = BODY) -> dict[str, str]:
    return sign(secret, "msg_1", int(time.time()) - age, body)


@pytest.mark.parametrize("secret", SECRETS)
def test_either_secret_is_accepted_as_a_bearer_and_as_a_signature(secret: str) -> None:
    verify({"authorization": f"Bearer {secret}"}, BODY, SECRETS)
    verify({"authorization": f"bearer {secret}"}, BODY, SECRETS)
    verify(signed(secret), BODY, SECRETS)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    headers = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    # the reference vector of the standard's own libraries
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("age", [-301, -300, -299, 0, 299, 300, 301])
def test_clocks_may_differ_by_five_minutes(age: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now = int(time.time())
    monkeypatch.setattr(time, "time", lambda: now)
    with pytest.raises(Unauthorized) if abs(age) > 300 else nullcontext():
        verify(signed(age=age), BODY, SECRETS)


@pytest.mark.parametrize(
    "present",  # made when the test runs: a signature ages
    [
        dict,
        lambda: {"authorization": ""},
        lambda: {"authorization": "Bearer "},
        lambda: {"authorization": "Bearer wrong"},
        lambda: {"authorization": "Basic new-secret"},
        lambda: {"authorization": "new-secret"},
        lambda: {"authorization": "Bearer new-secre"},
        lambda: {"authorization": "Bearer new-secret\udcff"},
        lambda: signed("wrong"),
        lambda: signed(age=400),
        lambda: signed(age=-400),
        lambda: signed(body=b"another body"),
        lambda: signed() | {"webhook-id": "msg_2"},
        lambda: signed() | {"webhook-id": ""},
        lambda: signed() | {"webhook-timestamp": str(int(time.time()) - 5)},
        lambda: signed() | {"webhook-timestamp": ""},
        lambda: signed() | {"webhook-timestamp": "now"},
        lambda: signed() | {"webhook-timestamp": "-1"},
        lambda: signed() | {"webhook-timestamp": "1e99"},
        lambda: signed() | {"webhook-timestamp": "\u0661\u0662"},
        lambda: signed() | {"webhook-timestamp": "9" * 400},
        lambda: signed() | {"webhook-signature": ""},
        lambda: signed() | {"webhook-signature": "v1,"},
        lambda: signed() | {"webhook-signature": "v1"},
        lambda: signed() | {"webhook-signature": "v1,not-base-64"},
        lambda: signed() | {"webhook-signature": "v1,\udcff"},
        lambda: (
            signed() | {"webhook-signature": signed()["webhook-signature"].replace("v1,", "v2,")}
        ),
    ],
)
def test_anything_else_is_refused(present: Callable[[], dict[str, str]]) -> None:
    with pytest.raises(Unauthorized):
        verify(present(), BODY, SECRETS)


def test_one_good_signature_among_several_is_enough() -> None:
    good = signed()["webhook-signature"]
    verify(signed() | {"webhook-signature": f"v2,xyz v1,AAAA {good}"}, BODY, SECRETS)


@given(st.binary(max_size=200), st.text(min_size=1, max_size=40))
def test_a_signature_holds_for_its_body_alone(body: bytes, secret: str) -> None:
    headers = sign(secret, "msg", int(time.time()), body)
    verify(headers, body, (secret,))
    with pytest.raises(Unauthorized):
        verify(headers, body + b" ", (secret,))


def test_without_secrets_everybody_is_accepted() -> None:
    verify({}, BODY, ())


def test_a_plain_secret_is_taken_as_its_bytes() -> None:
    expected = hmac.digest(b"plain", b"id.5.body", hashlib.sha256)
    assert (
        sign("plain", "id", 5, b"body")["webhook-signature"]
        == f"v1,{base64.b64encode(expected).decode()}"
    )
