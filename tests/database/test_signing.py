import base64
import hashlib
import hmac
from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.database.caller import Database

# RFC 4231, section 4: cases 1 to 4, 6 and 7 (5 is a truncation that is not used here)
RFC_4231 = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data."
        b" The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]


def hmac_in_sql(db: Database, key: bytes, message: bytes) -> bytes:
    return bytes(db.value("select memoria.hmac_sha256(%s::bytea, %s::bytea)", key, message))


def test_the_vectors_of_rfc_4231(db: Database) -> None:
    for key, message, expected in RFC_4231:
        assert hmac_in_sql(db, key, message).hex() == expected


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.binary(max_size=200), message=st.binary(max_size=300))
def test_it_is_pythons_hmac_for_any_key_and_message(
    db: Database, key: bytes, message: bytes
) -> None:
    assert hmac_in_sql(db, key, message) == hmac.digest(key, message, hashlib.sha256)


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("plain söcret", "plain söcret".encode()),
        ("whsec_" + base64.b64encode(b"raw \x00 bytes").decode(), b"raw \x00 bytes"),
        ("whsecXnot base64", b"whsecXnot base64"),
    ],
)
def test_headers_are_those_of_standard_webhooks(db: Database, secret: str, key: bytes) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 900_000, tzinfo=UTC)
    body = '{"name": "Zoë"}'
    headers = db.value("select memoria.signed_headers('msg_1', %s, %s, %s)", at, body, secret)
    seconds = str(int(at.timestamp()))
    signature = hmac.digest(key, f"msg_1.{seconds}.{body}".encode(), hashlib.sha256)
    assert headers == {
        "webhook-id": "msg_1",
        "webhook-timestamp": seconds,
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }


def test_a_secret_that_is_no_base64_is_an_error_and_not_a_weak_key(db: Database) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        db.value("select memoria.signing_key('whsec_not*base64')")
