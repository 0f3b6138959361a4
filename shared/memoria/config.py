"""The environment, read once into a frozen settings object.

A wrong or missing variable stops the start with one message that names every problem at once.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from memoria.auth import signing_key
from memoria.variables import (
    Count,
    HeaderSecret,
    Hosts,
    LogLevel,
    Origins,
    ProjectUrl,
    SearchThresholds,
    Seconds,
    SecretKey,
    Similarities,
    Url,
    UrlSeconds,
    fits_a_header,
)

LOOPBACK = ("localhost", "127.0.0.1", "::1")
OFF = "off"


class BadConfiguration(Exception):
    """The environment does not make a working service; the message lists every variable to mend."""


class Settings(BaseModel):
    """What both services are told by their environment; see ``.env.example``."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    supabase_url: ProjectUrl
    supabase_service_role_key: SecretKey
    callback_url: Url | Literal["off"]
    callback_secret: HeaderSecret
    webhook_secret: HeaderSecret
    webhook_secret_previous: HeaderSecret | None = None

    detection_threshold: float | None = Field(None, gt=0, lt=1)  # None: the pack's own
    det_size: int = Field(640, ge=320, le=640)
    small_faces: Literal["auto", "thorough"] = "auto"
    min_cluster_size: int = Field(3, ge=2, le=10**12)
    min_samples: Count = 2
    cluster_max_faces: Count | None = None  # None: what the instance's memory allows
    cluster_epsilon: float = Field(0.4, ge=0, le=2)  # cosine distance
    # model -> sure, link: what `memoria calibrate` measured, instead of clustering/thresholds.py
    similarity_thresholds: Similarities = Field(default_factory=dict)
    use_gpu: bool = False
    inference: Literal["onnxruntime", "openvino"] = "onnxruntime"
    model_pack: str = Field("buffalo_l", pattern=r"^[A-Za-z0-9._-]+$")
    model_dir: Path

    max_media_bytes: Count = 64_000_000
    max_media_pixels: Count = 1_000_000_000
    max_faces_per_photo: Count = 200
    max_run_seconds: Seconds = 300
    fetch_timeout_seconds: Seconds = 30
    signed_url_seconds: UrlSeconds = 3600
    media_url_hosts: Hosts = ()
    store_timeout_seconds: Seconds = 60
    callback_timeout_seconds: Seconds = 10
    log_level: LogLevel = "INFO"

    # off; on: /search beside /process; only: nothing else, so that uploads never make a guest wait
    search: Literal["off", "on", "only"] = "off"
    search_origins: Origins = ()
    # of all strangers who search, the share that is shown somebody
    search_fpir: float = Field(0.001, ge=1e-6, le=0.02)
    search_url_seconds: UrlSeconds = 900
    # model -> demand, slope: what `memoria calibrate` measured, instead of search/rules.py
    search_thresholds: SearchThresholds = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults(cls, values: dict[str, Any]) -> dict[str, Any]:
        filled = dict(values)
        if "callback_url" in filled and str(filled["callback_url"]).lower() == OFF:
            filled["callback_url"] = OFF
        if filled.get("callback_url") == OFF and "callback_secret" not in filled:
            filled.setdefault("callback_secret", OFF)  # only WEBHOOK_SECRET can be missing
        elif (secret := str(filled.get("callback_secret", ""))) and fits_a_header(secret):
            filled.setdefault("webhook_secret", secret)
        else:  # CALLBACK_SECRET is named; its default must not be named as well
            filled.setdefault("webhook_secret", "missing")
        filled.setdefault("model_dir", f"/models/{filled.get('model_pack', 'buffalo_l')}")
        return filled

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.det_size not in (320, 640):
            raise ValueError("DET_SIZE: must be 640 or 320")
        if self.use_gpu and self.inference == "openvino":
            raise ValueError("INFERENCE: openvino runs on the CPU, without USE_GPU")
        if self.webhook_secret.get_secret_value() == OFF and not self.on_loopback:
            raise ValueError(
                "WEBHOOK_SECRET: off is allowed only where SUPABASE_URL is on loopback"
            )
        if "*" in self.search_origins and not self.on_loopback:
            raise ValueError("SEARCH_ORIGINS: * is allowed only where SUPABASE_URL is on loopback")
        for name in ("supabase_service_role_key", "callback_secret", "webhook_secret"):
            if not getattr(self, name).get_secret_value():
                raise ValueError(f"{name.upper()}: must not be empty")
        for name in ("callback_secret", "webhook_secret", "webhook_secret_previous"):
            _check_signing_key(name, getattr(self, name))
        return self

    @property
    def on_loopback(self) -> bool:
        """Whether the project is one on this machine."""
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


def _check_signing_key(name: str, secret: SecretStr | None) -> None:
    try:
        signing_key(secret.get_secret_value() if secret else "")
    except ValueError:
        raise ValueError(f"{name.upper()}: must be base64 after whsec_") from None
