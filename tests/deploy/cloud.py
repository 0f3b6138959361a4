"""An empty Google Cloud project, and gcloud as deploy.sh sees it.

tool.sh hands every call over. ``gcloud`` answers as the real one was seen to (real_gcloud.py
compares them): what is missing is a NOT_FOUND on standard error and exit status 1, versions are
numbered, traffic belongs to revisions, a name is created once.
"""

import datetime
import json
import re
import socketserver
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

EXHAUSTED = "RESOURCE_EXHAUSTED: Quota exceeded for quota metric 'Read requests'."


class Refused(Exception):
    """What gcloud prints after ``ERROR: (command)`` before it exits with 1."""


@dataclass
class Call:
    """One call of a tool."""

    tool: str
    words: list[str]
    input: str
    password: str  # PGPASSWORD


@dataclass
class Project:
    """``with Project() as project``: what was created, and every call of a tool.

    A call whose words match the regular expression in CLOUD_FAILS fails, as one whose quota is used
    up; with CLOUD_LOSES it does its work first, and only the answer is lost; with CLOUD_SILENT, or
    CLOUDSDK_CORE_USER_OUTPUT_ENABLED=false, it says nothing. ``url`` is where services are reached;
    ``account`` is who is logged in.
    """

    url: str = ""
    account: str = "me@example.com"
    state: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    before: Callable[[list[str]], None] | None = None  # what somebody else does before a call

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def answer(self, call: Call, fails: str, loses: str, silent: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        with self._lock:
            self.calls.append(call)
            if self.before is not None:
                self.before(call.words)
            place = ".".join(word for word in call.words[:3] if word[0] != "-")
            words = " ".join([call.tool, *call.words])
            if fails and re.search(fails, words):
                return 1, "", f"ERROR: (gcloud.{place}) {EXHAUSTED}\n"
            if call.tool != "gcloud":
                return 0, "", ""
            try:
                text = gcloud(call, self)
            except Refused as problem:
                return 1, "", f"ERROR: (gcloud.{place}) {problem}\n"
            if loses and re.search(loses, words):
                return 1, "", f"ERROR: (gcloud.{place}) The connection was reset.\n"
            if silent and re.search(silent, words):
                return 0, "", ""
            return 0, f"{text}\n" if text else "", ""


def _handler(project: Project) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            count = int(self._field())
            tool, fails, loses, output, silent, password, given = (self._field() for _ in range(7))
            call = Call(tool, [self._field() for _ in range(count)], given, password)
            answer = project.answer(call, fails, loses, "^" if output == "false" else silent)
            self.wfile.write("".join(f"{part}\0" for part in answer).encode())

        def _field(self) -> str:
            text = b""
            while (byte := self.rfile.read(1)) not in (b"\0", b""):
                text += byte
            return text.decode()

    return Handler


def option(words: list[str], name: str) -> str:
    return next((w.split("=", 1)[1] for w in words if w.startswith(f"--{name}=")), "")


def pairs(text: str, delimiter: str = ",") -> dict[str, str]:
    """``A=1,B=2``, or ``^x^A=1xB=2`` with a delimiter of one's own."""
    if text.startswith("^"):
        delimiter, text = text[1:].split("^", 1)
    return dict(pair.split("=", 1) for pair in text.split(delimiter) if pair)


def gcloud(call: Call, project: Project) -> str:
    words, state = call.words, project.state
    plain = [word for word in words if not word.startswith("--")]
    match plain:
        case ["config", "get-value", "project"]:
            return "from-gcloud"
        case ["config", "get-value", "account"]:
            return project.account
        case ["auth", "print-access-token"]:
            if not project.account:
                raise Refused("You do not currently have an active account selected.")
            return "ya29.token"
        case ["secrets", *rest]:
            return secrets(rest, words, state.setdefault("secrets", {}), call.input)
        case ["run", *rest]:
            return run(rest, words, state.setdefault("services", {}), project.url)
    return resource(plain, words, state)


def run(plain: list[str], words: list[str], services: dict[str, Any], url: str) -> str:
    *group, name = plain
    match group:
        case ["deploy"]:
            return deploy(services, name, words)
        case ["services", "update-traffic"]:
            return traffic(services[name], words)
        case ["services", "describe"]:
            return describe_service(services, name, url)
    return describe_revision(services, name, option(words, "format"))


def secrets(plain: list[str], words: list[str], state: dict[str, Any], given: str) -> str:
    name = option(words, "secret") or plain[-1]
    if plain[0] == "create":
        if name in state:
            raise Refused(
                "Resource in projects [p-1] is the subject of a conflict: "
                f"Secret [projects/1/secrets/{name}] already exists."
            )
        state[name] = secret(pairs(option(words, "labels")))
        return changed(state[name], words)
    if name not in state:
        raise Refused(f"NOT_FOUND: Secret [projects/1/secrets/{name}] not found.")
    known = state[name]
    etag = option(words, "etag")
    if etag and etag != known["etag"]:
        raise Refused("FAILED_PRECONDITION: the etag provided does not match the resource's.")
    match plain:
        case ["describe", _]:
            return described(name, known, option(words, "format"))
        case ["update", _]:
            return changed(known, words)
        case ["delete", _]:
            del state[name]
        case ["versions", "add", _]:
            known["versions"].append(given)
            return f"projects/1/secrets/{name}/versions/{len(known['versions'])}"
        case ["versions", verb, number]:
            return version(name, known, verb, number, option(words, "format"))
    return ""


def secret(labels: dict[str, str], versions: Sequence[str] = ()) -> dict[str, Any]:
    """A secret; ``states`` says of some versions that they are DISABLED or DESTROYED."""
    return {"labels": labels, "versions": list(versions), "states": {}, "etag": '"0"'}


def changed(known: dict[str, Any], words: list[str]) -> str:
    """Another etag, and another end where it is given a time to live."""
    known["etag"] = f'"{int(known["etag"].strip(chr(34))) + 1}"'
    if ttl := option(words, "ttl"):
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=int(ttl[:-1]))
        known["expires"] = f"{end:%Y-%m-%dT%H:%M:%S.%fZ}"
    return str(known["etag"]) if "etag" in option(words, "format") else ""


def described(name: str, known: dict[str, Any], shape: str) -> str:
    told = {"name": name, "etag": known["etag"], "expireTime": known.get("expires", "")}
    told |= {f"labels.{label}": value for label, value in known["labels"].items()}
    return " ".join(told.get(key, "") for key in shape.partition("(")[2].rstrip(")").split(","))


def version(name: str, known: dict[str, Any], verb: str, number: str, shape: str) -> str:
    place = len(known["versions"]) if number == "latest" else int(number)
    path = f"projects/1/secrets/{name}"
    if not 0 < place <= len(known["versions"]):
        raise Refused(f"NOT_FOUND: Secret [{path}] not found or has no versions.")
    path, state = f"{path}/versions/{place}", known["states"].get(place, "ENABLED")
    if verb == "describe":
        return f"{path}\t{state}" if "name" in shape else state
    if state != "ENABLED":
        raise Refused(f"FAILED_PRECONDITION: Secret Version [{path}] is in {state} state.")
    return str(known["versions"][place - 1])


def resource(plain: list[str], words: list[str], state: dict[str, Any]) -> str:
    """Logged lines; anything that is created under a name, or found again by its display name."""
    match plain:
        case ["logging", "read", asked]:
            return "\n".join(line for name, line in state.get("log", []) if name in asked)
        case [*kind, "list"]:
            title = option(words, "filter").removeprefix("displayName=").strip('"')
            return "projects/p/things/1" if title in state.get(" ".join(kind), []) else ""
        case [*kind, "describe", name]:
            if name not in state.get(" ".join(kind), []):
                raise Refused("NOT_FOUND: Requested entity was not found.")
            return name
        case [*kind, "create"]:
            file = option(words, "config-from-file") or option(words, "policy-from-file")
            name = json.loads(Path(file).read_text())["displayName"]
            state.setdefault(" ".join(kind), []).append(name)
        case [*kind, "create", name]:
            name = f"{name}@p-1.iam.gserviceaccount.com" if kind[0] == "iam" else name
            state.setdefault(" ".join(kind), []).append(name)
    return ""


def deploy(services: dict[str, Any], name: str, words: list[str]) -> str:
    if name not in services and "--no-traffic" in words:
        raise Refused("--no-traffic not supported when creating a new service.")
    if name in services and not services[name]["traffic"] and "--no-traffic" in words:
        raise Refused("INVALID_ARGUMENT: spec.traffic[0].revisionName: should not be empty.")
    service = services.setdefault(name, {"revisions": {}, "traffic": {}, "tags": {}})
    suffix = option(words, "revision-suffix") or f"{len(service['revisions']) + 1:05d}"
    revision = f"{name}-{suffix}"
    service["revisions"][revision] = {
        "env": pairs(option(words, "set-env-vars")),
        "secrets": pairs(option(words, "set-secrets")),
    }
    service["latest"] = revision
    service["tags"][option(words, "tag")] = revision
    if "--no-traffic" not in words:
        service["traffic"] = {revision: 100}
    return ""


def traffic(service: dict[str, Any], words: list[str]) -> str:
    for tag, revision in pairs(option(words, "update-tags")).items():
        if revision not in service["revisions"]:
            raise Refused(f"NOT_FOUND: Revision [{revision}] could not be found.")
        service["tags"][tag] = revision
    for tag in filter(None, option(words, "remove-tags").split(",")):
        service["tags"].pop(tag, None)
    if "--to-latest" in words:
        service["traffic"] = {service["latest"]: 100}
    if new := pairs(option(words, "to-revisions")):
        service["traffic"] = {revision: int(share) for revision, share in new.items()}
    if new := pairs(option(words, "to-tags")):
        service["traffic"] = {service["tags"][tag]: int(share) for tag, share in new.items()}
    return ""


def describe_service(services: dict[str, Any], name: str, base: str) -> str:
    if name not in services:
        raise Refused(f"Cannot find service [{name}]")
    service = services[name]
    rows = [f"None,{revision},{share},None" for revision, share in service["traffic"].items()]
    rows += [
        f"{tag},{revision},None,{base}/{tag}/{name}" for tag, revision in service["tags"].items()
    ]
    return f"{name} {base}/serving/{name} {';'.join(rows)}"


def describe_revision(services: dict[str, Any], name: str, shape: str) -> str:
    for service in services.values():
        if name in service["revisions"]:
            made = service["revisions"][name]
            if "env.value)" in shape:
                lines = [f"{variable},{value}" for variable, value in made["env"].items()]
                return "\n".join(lines + [f"{variable}," for variable in made["secrets"]])
            lines = [f"{variable},," for variable in made["env"]]
            lines += [f"{var},{use.replace(':', ',')}" for var, use in made["secrets"].items()]
            return "\n".join(lines)
    raise Refused(f"Cannot find revision [{name}]")
