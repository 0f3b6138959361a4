import base64
import hashlib
import hmac
import time

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


@pytest.mark.parametrize("age", [-290, 0, 290])
def test_clocks_may_differ_by_five_minutes(age: int) -> None:
    verify(signed(age=age), BODY, SECRETS)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer "},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic new-secret"},
        {"authorization": "new-secret"},
        {"authorization": "Bearer new-secre"},
        {"authorization": "Bearer new-secret\udcff"},
        signed("wrong"),
        signed(age=400),
        signed(age=-400),
        signed(body=b"another body"),
        signed() | {"webhook-id": "msg_2"},
        signed() | {"webhook-id": ""},
        signed() | {"webhook-timestamp": str(int(time.time()) - 5)},
        signed() | {"webhook-timestamp": ""},
        signed() | {"webhook-timestamp": "now"},
        signed() | {"webhook-timestamp": "-1"},
        signed() | {"webhook-timestamp": "1e99"},
        signed() | {"webhook-timestamp": "\u0661\u0662"},
        signed() | {"webhook-timestamp": "9" * 400},
        signed() | {"webhook-signature": ""},
        signed() | {"webhook-signature": "v1,"},
        signed() | {"webhook-signature": "v1"},
        signed() | {"webhook-signature": "v1,not-base-64"},
        signed() | {"webhook-signature": "v1,\udcff"},
        signed() | {"webhook-signature": signed()["webhook-signature"].replace("v1,", "v2,")},
    ],
)
def test_anything_else_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthorized):
        verify(headers, BODY, SECRETS)


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
