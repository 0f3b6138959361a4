"""The environment, read once into a frozen settings object.

A wrong or missing variable stops the start with one message that names every problem at once.
"""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from memoria.auth import signing_key

LOOPBACK = ("localhost", "127.0.0.1", "::1")
PRIVATE_SUFFIXES = (".internal", ".local", ".localhost", ".test")
OFF = "off"


class BadConfiguration(Exception):
    """The environment does not make a working service; the message lists every variable to mend."""


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
        return "." not in host or host.endswith(PRIVATE_SUFFIXES)


def _fits_a_header(value: str) -> bool:
    """Other characters arrive changed there, or end the header."""
    return value.isascii() and value.isprintable()


def _header_secret(secret: SecretStr) -> SecretStr:
    if not _fits_a_header(secret.get_secret_value()):
        raise ValueError("must be printable ASCII, without line breaks")
    return secret


def _check_signing_key(name: str, secret: SecretStr | None) -> None:
    try:
        signing_key(secret.get_secret_value() if secret else "")
    except ValueError:
        raise ValueError(f"{name.upper()}: must be base64 after whsec_") from None


def _by_comma(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _hosts(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(host.lower() for host in _by_comma(value))


def _similarities(value: object) -> object:
    """``model:sure:link,…`` -> model -> (sure, link)."""
    if not isinstance(value, str):
        return value
    found = {}
    for part in _by_comma(value):
        try:
            model, sure, link = part.split(":")
            found[model] = float(sure), float(link)
        except ValueError:
            raise ValueError("must be model:sure:link, several by comma") from None
        if not 0 < found[model][1] <= found[model][0] < 1:
            raise ValueError("similarities are between 0 and 1, link at most sure")
    return found


def _origins(value: object) -> object:
    """``https://app.example,…``, or ``*`` alone; checked against loopback by Settings."""
    if not isinstance(value, str):
        return value
    origins = tuple(_by_comma(value))
    for origin in origins:
        parts = urlsplit(origin)
        bare = f"{parts.scheme}://{parts.netloc}"
        if origin != "*" and (parts.scheme not in ("http", "https") or origin != bare):
            raise ValueError("must be origins such as https://app.example, without a path")
    return origins


def _search_thresholds(value: object) -> object:
    """``model:demand:slope,…`` -> model -> (demand, slope)."""
    if not isinstance(value, str):
        return value
    found = {}
    for part in _by_comma(value):
        try:
            model, demand, slope = part.split(":")
            found[model] = float(demand), float(slope)
        except ValueError:
            raise ValueError("must be model:demand:slope, several by comma") from None
        if not (-100 < found[model][0] < 100 and 0 < found[model][1] < 10):
            raise ValueError("demand is from -100 to 100 nats, slope over 0 up to 10")
    return found


Url = Annotated[str, AfterValidator(_http_url)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_header_secret)]


class Settings(BaseModel):
    """What both services are told by their environment; see ``.env.example``."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    supabase_url: Url
    supabase_service_role_key: HeaderSecret
    callback_url: Url | Literal["off"]
    callback_secret: HeaderSecret
    webhook_secret: HeaderSecret
    webhook_secret_previous: HeaderSecret | None = None

    detection_threshold: float | None = Field(None, gt=0, lt=1)  # None: the pack's own
    det_size: int = Field(640, ge=320, le=640)
    small_faces: Literal["auto", "thorough"] = "auto"
    min_cluster_size: int = Field(3, ge=2)
    min_samples: int = Field(2, ge=1)
    cluster_max_faces: int | None = Field(None, ge=1)  # None: what the instance's memory allows
    cluster_epsilon: float = Field(0.4, ge=0, le=2)  # cosine distance
    # model -> sure, link: what `memoria calibrate` measured, instead of clustering/thresholds.py
    similarity_thresholds: Annotated[
        dict[str, tuple[float, float]], BeforeValidator(_similarities)
    ] = Field(default_factory=dict)
    use_gpu: bool = False
    model_pack: str = Field("buffalo_l", pattern=r"^[A-Za-z0-9._-]+$")
    model_dir: Path

    max_media_bytes: int = Field(64_000_000, gt=0)
    max_media_pixels: int = Field(1_000_000_000, gt=0)
    max_faces_per_photo: int = Field(200, gt=0)
    max_run_seconds: float = Field(300, gt=0)
    fetch_timeout_seconds: float = Field(30, gt=0)
    signed_url_seconds: int = Field(3600, ge=60)
    media_url_hosts: tuple[str, ...] = ()
    store_timeout_seconds: float = Field(60, gt=0)
    callback_timeout_seconds: float = Field(10, gt=0)

    # off; on: /search beside /process; only: nothing else, so that uploads never make a guest wait
    search: Literal["off", "on", "only"] = "off"
    search_origins: Annotated[tuple[str, ...], BeforeValidator(_origins)] = ()
    search_fpir: float = Field(
        0.001, ge=1e-6, le=0.02
    )  # strangers shown somebody, of all strangers
    search_url_seconds: int = Field(900, ge=60)
    # model -> demand, slope: what `memoria calibrate` measured, instead of search/rules.py
    search_thresholds: Annotated[
        dict[str, tuple[float, float]], BeforeValidator(_search_thresholds)
    ] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults(cls, values: dict[str, Any]) -> dict[str, Any]:
        filled = dict(values)
        if "callback_url" in filled and str(filled["callback_url"]).lower() == OFF:
            filled["callback_url"] = OFF
        if filled.get("callback_url") == OFF and "callback_secret" not in filled:
            filled.setdefault("callback_secret", OFF)  # only WEBHOOK_SECRET can be missing
        elif (secret := str(filled.get("callback_secret", ""))) and _fits_a_header(secret):
            filled.setdefault("webhook_secret", secret)
        else:  # CALLBACK_SECRET is named; its default must not be named as well
            filled.setdefault("webhook_secret", "missing")
        filled.setdefault("model_dir", f"/models/{filled.get('model_pack', 'buffalo_l')}")
        filled["media_url_hosts"] = _hosts(filled.get("media_url_hosts", ""))
        return filled

    @model_validator(mode="after")
    def _check_secrets(self) -> Self:
        if self.det_size not in (320, 640):
            raise ValueError("DET_SIZE: must be 640 or 320")
        if self.webhook_secret.get_secret_value() == OFF and not self._on_loopback:
            raise ValueError(
                "WEBHOOK_SECRET: off is allowed only where SUPABASE_URL is on loopback"
            )
        if "*" in self.search_origins and not self._on_loopback:
            raise ValueError("SEARCH_ORIGINS: * is allowed only where SUPABASE_URL is on loopback")
        for name in ("supabase_service_role_key", "callback_secret", "webhook_secret"):
            if not getattr(self, name).get_secret_value():
                raise ValueError(f"{name.upper()}: must not be empty")
        for name in ("callback_secret", "webhook_secret", "webhook_secret_previous"):
            _check_signing_key(name, getattr(self, name))
        return self

    @property
    def _on_loopback(self) -> bool:
        return urlsplit(self.supabase_url).hostname in LOOPBACK

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """The secrets that a caller may present; empty where callers are not asked."""
        if self.webhook_secret.get_secret_value() == OFF:
            return ()
        accepted = (self.webhook_secret, self.webhook_secret_previous)
        return tuple(secret.get_secret_value() for secret in accepted if secret is not None)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the known variables; empty ones count as missing.

        Raises BadConfiguration with one line per wrong or missing variable.
        """
        known = {name: environ.get(name.upper(), "").strip() for name in cls.model_fields}
        try:
            return cls.model_validate({name: value for name, value in known.items() if value})
        except ValidationError as exc:
            raise BadConfiguration(_explain(exc)) from None


def _explain(error: ValidationError) -> str:
    problems: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        variable = str(problem["loc"][0]).upper() if problem["loc"] else ""
        text = "is missing" if problem["type"] == "missing" else problem["msg"]
        text = text.removeprefix("Value error, ")
        problems.setdefault(variable or text, f"{variable}: {text}" if variable else text)
    return "cannot start, the environment needs mending:\n  " + "\n  ".join(problems.values())
