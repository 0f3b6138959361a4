"""``memoria doctor``: why does it not work? One line a check, and how to mend what is wrong."""

import argparse
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import httpx

from memoria import __version__
from memoria.agreement import Agreement
from memoria.cli.diagnosis import FIELDS, Finding, diagnose, note, ok, together, wrong
from memoria.cli.environment import environment
from memoria.cli.inputs import Explained, ask, positive
from memoria.config import OFF, BadConfiguration, Settings
from memoria.contracts import Json
from memoria.errors import MemoriaError, StoreUnavailable
from memoria.packs.catalogue import PACKS
from memoria.store.client import address, open_client, rpc

if TYPE_CHECKING:
    from supabase import Client

PATIENCE_SECONDS = 30.0
NO_ANSWER = (httpx.HTTPError, httpx.InvalidURL, UnicodeError)  # the last: a name nobody can spell
PROBE_BUCKET = "memoria-doctor"


def add_parser(subparsers: Any) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="find out why it does not work",
        description="Checks settings, database, grants, migrations, cron, Vault, the functions' "
        "URLs and secrets, and sends a probe job all the way. The probe is a photo that does not "
        "exist, in an event of its own, which is deleted again; your callback hears of it.",
    )
    parser.add_argument("--no-probe", action="store_true", help="send no probe job")
    parser.add_argument(
        "--wait", type=positive, default=60, help="seconds to wait for the probe (60)"
    )


def run(args: argparse.Namespace) -> int:
    """Print every finding. Returns 0 where nothing is wrong."""
    findings = []
    for finding in examine(probe=not args.no_probe, wait_seconds=args.wait):
        print(finding, flush=True)
        findings.append(finding)
    return int(any(finding.state == "wrong" for finding in findings))


def examine(*, probe: bool, wait_seconds: float) -> Iterator[Finding]:
    """All checks, from the nearest to the farthest; ends where the next ones could only fail."""
    try:
        settings = Settings.from_env(environment())
    except BadConfiguration as problem:
        lines = str(problem).splitlines()[1:]
        yield wrong("settings", ", ".join(line.strip() for line in lines), "see .env.example")
        return
    yield ok("settings", "complete")
    client = open_client(settings)
    with closing(client.options.httpx_client or httpx.Client()):
        yield from _examine_system(client, settings, wait_seconds if probe else None)


def _examine_system(
    client: "Client", settings: Settings, wait_seconds: float | None
) -> Iterator[Finding]:
    try:
        told = ask(client, "memoria_doctor", {}, "postgres", *FIELDS, retries=0)
    except MemoriaError as error:
        yield _database_trouble(error, settings)
        return
    yield ok("database", f"PostgreSQL {told['postgres']} answers, the key may do what it must")
    yield from diagnose(told)
    for service in ("process", "cluster"):
        url = told["settings"].get(f"{service}_url")
        if url:
            yield from _function(service, url, settings, Agreement.told(told))
    yield _callback(settings)
    if wait_seconds is not None:
        yield _probe(client, wait_seconds)


def _database_trouble(error: MemoriaError, settings: Settings) -> Finding:
    if isinstance(error, Explained):
        return wrong("database", error.told, error.mend)
    if isinstance(error, StoreUnavailable) and not hasattr(error.__cause__, "code"):
        cause = "make serve running" if settings.on_loopback else "the project paused"
        return wrong("database", error.message, f"SUPABASE_URL: is {cause}?")
    return wrong("database", error.message, "see the project's API log")


def _function(
    service: str, url: str, settings: Settings, database: Agreement | None
) -> Iterator[Finding]:
    """Whether a function is there, which version, and whether it takes our secret and no other."""
    try:
        health = httpx.get(f"{url}/health", timeout=PATIENCE_SECONDS)
    except NO_ANSWER as exc:
        yield wrong(service, f"{url} does not answer ({type(exc).__name__})", "is it deployed?")
        return
    if health.status_code in (401, 403):
        mend = "deploy.sh lets the public in; with --no-invoker-iam where allUsers is forbidden"
        yield wrong(service, f"Google's door answers {health.status_code}", mend)
        return
    if not health.is_success:
        yield wrong(service, f"/health answers {health.status_code}", "see the service's log")
        return
    told = _told(health)
    version = str(told.get("version", "unknown"))
    if version == __version__:
        yield ok(service, f"healthy, version {version}")
    else:
        yield note(service, f"healthy, version {version}; this is {__version__}")
    yield together(service, Agreement.told(told), database)
    if "model" in told:
        yield weights(str(told["model"]))
        yield from _search_rule(str(told["model"]), settings)
    yield _secret(service, url, settings)


def _told(health: httpx.Response) -> Json:
    with suppress(ValueError):
        body = health.json()
        return body if isinstance(body, dict) else {}
    return {}


def _search_rule(model: str, settings: Settings) -> Iterator[Finding]:
    """Whether selfies are judged by thresholds that were measured for these weights."""
    if settings.search == "off":
        return
    from memoria.clustering.thresholds import UNVERIFIED
    from memoria.search.rules import rule_for

    source = rule_for(model, settings).source
    if source == UNVERIFIED:
        yield note("search thresholds", f"nobody measured them for {model}", "memoria calibrate")
    else:
        yield ok("search thresholds", source)


def weights(name: str) -> Finding:
    """Which weights, and who may use them."""
    pack = PACKS.get(name)
    if pack is None:
        return note(
            "weights", f"{name}, which Memoria does not know", "its licence is yours to know"
        )
    tell = note if pack.licence.must_be_accepted else ok
    return tell("weights", f"{name}, {pack.licence.name}. {pack.licence.meaning}")


def _secret(service: str, url: str, settings: Settings) -> Finding:
    about = f"{service} secret"
    if not settings.webhook_secrets:
        return note(about, "off: callers are not asked")
    statuses = []
    for secret in (settings.webhook_secrets[0], uuid.uuid4().hex):
        bearer = {"Authorization": f"Bearer {secret}"}
        with suppress(*NO_ANSWER):
            answer = httpx.post(f"{url}/", json={}, headers=bearer, timeout=PATIENCE_SECONDS)
            statuses.append(answer.status_code)
    match statuses:
        case [400, 401]:  # ours: let in, and told that the body is empty; a made-up one: sent away
            return ok(about, "accepted, and a made-up one is not")
        case [401, *_]:
            return wrong(about, "ours is not accepted", "WEBHOOK_SECRET here, or deploy again")
        case [_, 400]:
            return wrong(about, "any secret is accepted", "WEBHOOK_SECRET of the service: not off")
    return wrong(about, f"the function answers {statuses}", "see the service's log")


def _callback(settings: Settings) -> Finding:
    if settings.callback_url == OFF:
        return ok("callback", "off")
    url = httpx.URL(settings.callback_url)
    try:
        status = httpx.head(url, timeout=PATIENCE_SECONDS).status_code
    except NO_ANSWER as exc:
        silent = f"{address(url)} does not answer ({type(exc).__name__})"
        return wrong("callback", silent, "CALLBACK_URL")
    if status == 404:
        return wrong("callback", "there is nothing at this path (404)", "CALLBACK_URL")
    return ok("callback", f"something answers there ({status} to a HEAD)")


def _probe(client: "Client", wait_seconds: float) -> Finding:
    """A photo that does not exist: it must come back as gone, by webhook, function and database."""
    event_id = f"memoria-doctor-{uuid.uuid4()}"
    media = {"p_media_id": f"{event_id}-photo", "p_event_id": event_id}
    started = time.monotonic()
    try:
        rpc(client, "memoria_enqueue", {**media, "p_bucket": PROBE_BUCKET, "p_path": "none.jpg"})
        status: Json = {}
        while time.monotonic() - started < wait_seconds and not _answers(status):
            time.sleep(0.5)
            status = rpc(client, "memoria_event_status", {"p_event_id": event_id})
        return _verdict(status, time.monotonic() - started)
    except MemoriaError as error:
        return wrong("probe", error.message, "see the lines above")
    finally:
        with suppress(MemoriaError):
            rpc(client, "memoria_delete_event", {"p_event_id": event_id})


def _answers(status: Json) -> list[Json]:
    """What *process* said of the probe: a photo this young is looked for again, so it may wait."""
    return [*status.get("failures", []), *status.get("waiting", [])]


def _verdict(status: Json, seconds: float) -> Finding:
    for failure in _answers(status):
        if failure["code"] in ("media_gone", "media_forbidden"):
            return ok("probe", f"went all the way and back in {seconds:.1f} s")
        mend = f"docs/operations.md, {failure['code']}"
        return wrong("probe", f"{failure['code']}: {failure['message']}", mend)
    mend = "the first line above that is wrong says why; else see the log of process"
    return wrong("probe", f"no answer after {seconds:.0f} s", mend)
