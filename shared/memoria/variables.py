"""The text of one environment variable -> its value, or a ValueError that says what it must be.

What several variables must be together is checked by ``config``.
"""

import base64
import ipaddress
import json
import re
from contextlib import suppress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

_PRIVATE_SUFFIXES = (".internal", ".local", ".localhost", ".test")
_PLACEHOLDERS = ("your-project.supabase.co", "your-app.example")  # of .env.example
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)*(?!\d+$){_LABEL}")
_MODEL = re.compile(r"[A-Za-z0-9._-]+")


def _http_url(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must not hold line breaks or control characters")  # urlsplit drops some
    if not value.isascii() or " " in value:
        raise ValueError("must be ASCII without spaces: a host's name in other letters as xn--…")
    scheme, _, rest = value.partition("://")
    netloc = re.split("[/?#]", rest, maxsplit=1)[0]
    if scheme not in _DEFAULT_PORTS or not netloc:
        raise ValueError("must be a full URL, such as https://project.supabase.co")
    if "@" in netloc or "#" in rest:
        raise ValueError("must carry no user name, password or #fragment")
    _place(netloc)
    if (urlsplit(value).hostname or "") in _PLACEHOLDERS:
        raise ValueError("must be your own, not .env.example's")
    if scheme == "http" and not _is_private(urlsplit(value).hostname or ""):
        raise ValueError("must use https, except on loopback and in private networks")
    return value


def _project_url(value: str) -> str:
    """Of a hosted project, its host alone; one of one's own may lie below a path."""
    if "?" in value:
        raise ValueError("must have no query: paths are appended to it")
    base = _http_url(value).rstrip("/")
    parts = urlsplit(base.lower())
    host = f".{parts.hostname}"
    if host.endswith(".supabase.com"):
        raise ValueError("must be https://….supabase.co, not a page of the dashboard")
    if (parts.path and host.endswith(".supabase.co")) or parts.path.endswith("/rest/v1"):
        raise ValueError("must be the address alone, without a path")
    return base


def _place(text: str) -> str:
    """``host`` or ``host:port``, in lower case."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:  # a port that is no number, or over 65535; half a bracket
        raise ValueError(f"{text!r} is no host with an optional :port") from None
    if not _is_host(host) or port == 0 or parts.netloc != text or set("@%") & set(text):
        raise ValueError(f"{text!r} is no host with an optional :port")
    return (f"[{host}]" if ":" in host else host) + ("" if port is None else f":{port}")


def _is_host(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return _NAME.fullmatch(host) is not None


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


def _secret_key(key: SecretStr) -> SecretStr:
    if _is_of_browsers(key.get_secret_value()):
        raise ValueError(
            "must be a secret key, sb_secret_… or service_role, not the publishable or anon one"
        )
    return _header_secret(key)


def _is_of_browsers(key: str) -> bool:
    """The publishable key, or the legacy one: a JWT as long as service_role's, of role anon."""
    if key.startswith("sb_publishable_"):
        return True
    with suppress(ValueError, IndexError, RecursionError):
        claims = json.loads(base64.urlsafe_b64decode(key.split(".")[1] + "=="))
        return isinstance(claims, dict) and claims.get("role") == "anon"
    return False


def _by_comma(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _hosts(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(_place(host) for host in _by_comma(value))


def _by_model(text: str, form: str) -> dict[str, tuple[float, float]]:
    """``model:one:other,…`` -> model -> (one, other); the form names them."""
    found = {}
    for part in _by_comma(text):
        try:
            model, one, other = part.split(":")
            pair = float(one), float(other)
        except ValueError:
            raise ValueError(f"must be {form}, several by comma") from None
        if not _MODEL.fullmatch(model) or model in found:
            raise ValueError(f"must be {form}, each model once")
        found[model] = pair
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
    return tuple("*" if origin == "*" else _origin(origin) for origin in _by_comma(value))


def _origin(text: str) -> str:
    """As browsers write it, letter for letter: in lower case, without the scheme's own port."""
    scheme, _, rest = text.lower().partition("://")
    if scheme not in _DEFAULT_PORTS or "/" in rest:
        raise ValueError("must be origins such as https://app.example, without a path")
    return f"{scheme}://{_place(rest).removesuffix(_DEFAULT_PORTS[scheme])}"


def _log_level(text: str) -> str:
    """As Python's logging names it, also by its short names, in either case of letters."""
    name = text.upper()
    return {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(name, name)


Url = Annotated[str, AfterValidator(_http_url)]
ProjectUrl = Annotated[str, AfterValidator(_project_url)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_header_secret)]
SecretKey = Annotated[SecretStr, AfterValidator(_secret_key)]
Hosts = Annotated[tuple[str, ...], BeforeValidator(_hosts)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins)]
LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_log_level)
]
Count = Annotated[int, Field(ge=1, le=10**12)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]  # of one wait
UrlSeconds = Annotated[int, Field(ge=60, le=366 * 86_400)]  # that a URL is good
# model -> (sure, link), cosine similarities
Similarities = Annotated[dict[str, tuple[float, float]], BeforeValidator(_similarities)]
# model -> (demand, slope), nats
SearchThresholds = Annotated[dict[str, tuple[float, float]], BeforeValidator(_search_thresholds)]
