"""The text of one environment variable -> its value, or a ValueError that says what it must be.

What several variables must be together is checked by ``config``.
"""

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

_PRIVATE_SUFFIXES = (".internal", ".local", ".localhost", ".test")


def _http_url(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must not hold line breaks or control characters")  # urlsplit drops some
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a full URL, such as https://project.supabase.co")
    if parts.scheme == "http" and not _is_private(parts.hostname):
        raise ValueError("must use https, except on loopback and in private networks")
    return value.rstrip("/")


def _is_private(host: str) -> bool:
    """Loopback, a container's bare name, a reserved suffix or a private address."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_SUFFIXES)


def fits_a_header(value: str) -> bool:
    """Other characters arrive changed there, or end the header."""
    return value.isascii() and value.isprintable()


def _header_secret(secret: SecretStr) -> SecretStr:
    if not fits_a_header(secret.get_secret_value()):
        raise ValueError("must be printable ASCII, without line breaks")
    return secret


def _by_comma(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _hosts(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(host.lower() for host in _by_comma(value))


def _by_model(text: str, form: str) -> dict[str, tuple[float, float]]:
    """``model:one:other,…`` -> model -> (one, other); the form names them."""
    found = {}
    for part in _by_comma(text):
        try:
            model, one, other = part.split(":")
            found[model] = float(one), float(other)
        except ValueError:
            raise ValueError(f"must be {form}, several by comma") from None
    return found


def _similarities(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = _by_model(value, "model:sure:link")
    if not all(0 < link <= sure < 1 for sure, link in found.values()):
        raise ValueError("similarities are between 0 and 1, link at most sure")
    return found


def _search_thresholds(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = _by_model(value, "model:demand:slope")
    if not all(-100 < demand < 100 and 0 < slope < 10 for demand, slope in found.values()):
        raise ValueError("demand is from -100 to 100 nats, slope over 0 up to 10")
    return found


def _origins(value: object) -> object:
    """``https://app.example,…``, or ``*``, which Settings allows on loopback only."""
    if not isinstance(value, str):
        return value
    origins = tuple(_by_comma(value))
    for origin in origins:
        parts = urlsplit(origin)
        bare = f"{parts.scheme}://{parts.netloc}"
        if origin != "*" and (parts.scheme not in ("http", "https") or origin != bare):
            raise ValueError("must be origins such as https://app.example, without a path")
    return origins


Url = Annotated[str, AfterValidator(_http_url)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_header_secret)]
Hosts = Annotated[tuple[str, ...], BeforeValidator(_hosts)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins)]
# model -> (sure, link), cosine similarities
Similarities = Annotated[dict[str, tuple[float, float]], BeforeValidator(_similarities)]
# model -> (demand, slope), nats
SearchThresholds = Annotated[dict[str, tuple[float, float]], BeforeValidator(_search_thresholds)]
