"""Who may call: a bearer secret or a Standard-Webhooks signature, compared in constant time.

The signature scheme is that of https://www.standardwebhooks.com (v1, HMAC-SHA-256 over
``id.timestamp.body``). There is no nonce store: a replayed nudge changes nothing.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

from memoria.errors import Unauthorized

TOLERANCE_SECONDS = 300
_PREFIX = "whsec_"


def presents_credentials(headers: Mapping[str, str]) -> bool:
    """Whether the request brings a secret or a signature; if not, its body is not even read.

    The names of headers are in lower case, here and below.
    """
    return "authorization" in headers or "webhook-signature" in headers


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> None:
    """Accept a request that presents any of the secrets, or a signature made with one.

    An empty sequence of secrets accepts everybody. Raises Unauthorized, without saying why.
    """
    if not secrets or has_bearer(headers, secrets) or _has_signature(headers, body, secrets):
        return
    raise Unauthorized("a valid secret or signature is required")


def has_bearer(headers: Mapping[str, str], secrets: Sequence[str]) -> bool:
    """Whether ``Authorization: Bearer`` carries one of the secrets."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return False
    presented = token.strip().encode("utf-8", "surrogateescape")
    # every secret is compared, so that the time does not tell which one matched
    return any([hmac.compare_digest(presented, secret.encode()) for secret in secrets])


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three Standard-Webhooks headers for a body."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{_signature(secret, message_id, str(timestamp), body)}",
    }


def _has_signature(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not message_id or not _is_fresh(timestamp):
        return False
    presented = [
        value.encode("utf-8", "surrogateescape")
        for version, _, value in (
            part.partition(",") for part in headers.get("webhook-signature", "").split()[:10]
        )
        if version == "v1"
    ]
    expected = [_signature(secret, message_id, timestamp, body).encode() for secret in secrets]
    return any([hmac.compare_digest(one, other) for one in presented for other in expected])


def _is_fresh(timestamp: str) -> bool:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    return abs(time.time() - int(timestamp)) <= TOLERANCE_SECONDS


def _signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    signed = b".".join((message_id.encode("utf-8", "surrogateescape"), timestamp.encode(), body))
    return base64.b64encode(hmac.digest(signing_key(secret), signed, hashlib.sha256)).decode()


def signing_key(secret: str) -> bytes:
    """The HMAC key: ``whsec_…`` is base64, as the standard has it; any other is taken as it is.

    Raises ValueError where what follows ``whsec_`` is no base64, has more ``=`` than it takes, as
    the database refuses it, or is nothing.
    """
    if not secret.startswith(_PREFIX):
        return secret.encode()
    text = secret.removeprefix(_PREFIX)
    key = base64.b64decode(text, validate=True)
    if not key or len(base64.b64encode(key)) != len(text):
        raise ValueError("there is no key after whsec_")
    return key
