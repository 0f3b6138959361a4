#!/usr/bin/env python3
"""gcloud, curl and psql as deploy.sh sees them: every call is recorded, what is created stays.

Installed under those three names in a folder of their own. The state lies beside the log; a call
whose words match the regular expression in CLOUD_FAILS fails.
"""

import json
import os
import re
import sys
from pathlib import Path

FOLDER = Path(os.environ["CLOUD_FOLDER"])
STATE = FOLDER / "state.json"


def main() -> int:
    tool, words = Path(sys.argv[0]).name, sys.argv[1:]
    state = json.loads(STATE.read_text()) if STATE.exists() else {}
    reads_input = "--data-file=-" in words or tool == "psql" or words[:2] == ["--config", "-"]
    given = sys.stdin.read() if reads_input or ("--config" in words) else ""
    with (FOLDER / "calls.jsonl").open("a") as log:
        log.write(json.dumps({"tool": tool, "words": words, "input": given}) + "\n")
    fails = os.environ.get("CLOUD_FAILS")
    if fails and re.search(fails, " ".join([tool, *words])):
        sys.stderr.write("ERROR: no\n")
        return 1
    answer = {"gcloud": gcloud, "curl": curl, "psql": lambda *_: ""}[tool](words, state, given)
    STATE.write_text(json.dumps(state))
    if answer is None:
        return 1
    sys.stdout.write(answer)
    return 0


def option(words: list[str], name: str) -> str:
    return next((w.split("=", 1)[1] for w in words if w.startswith(f"--{name}=")), "")


def gcloud(words: list[str], state: dict, given: str) -> str | None:
    plain = [word for word in words if not word.startswith("--")]
    match plain:
        case ["config", "get-value", "project"]:
            return "from-gcloud\n"
        case ["auth", "list"]:
            return os.environ.get("CLOUD_ACCOUNT", "me@example.com") + "\n"
        case ["secrets", "versions", "add", name]:
            state.setdefault("values", {})[name] = given
            return ""
        case ["secrets", "versions", *_]:
            return state.get("values", {}).get(option(words, "secret"))
        case ["run", *_, verb, name]:
            answer = {"describe": describe_service, "deploy": deploy, "update-traffic": traffic}
            return answer[verb](state.setdefault("services", {}), name, words)
    return resource(plain, words, state)


def resource(plain: list[str], words: list[str], state: dict) -> str | None:
    """Anything that is created under a name, or found again by its display name."""
    match plain:
        case [*kind, "list"]:
            title = option(words, "filter").removeprefix("displayName=").strip('"')
            found = title in state.get(" ".join(kind), [])
            return "projects/p/things/1\n" if found else ""
        case [*kind, "describe", name]:
            return "" if name in state.get(" ".join(kind), []) else None
        case [*kind, "create"]:
            file = option(words, "config-from-file") or option(words, "policy-from-file")
            name = json.loads(Path(file).read_text())["displayName"]
            state.setdefault(" ".join(kind), []).append(name)
        case [*kind, "create", name]:
            name = f"{name}@p-1.iam.gserviceaccount.com" if kind[0] == "iam" else name
            state.setdefault(" ".join(kind), []).append(name)
    return ""


def deploy(services: dict, name: str, words: list[str]) -> str | None:
    new = name not in services
    if new and "--no-traffic" in words:
        return None
    service = services.setdefault(name, {"revisions": 0, "serving": "", "tags": {}})
    service["revisions"] += 1
    revision = f"{name}-{service['revisions']:05d}"
    service["tags"][option(words, "tag")] = revision
    if "--no-traffic" not in words:
        service["serving"] = revision
    return ""


def traffic(services: dict, name: str, words: list[str]) -> str:
    service = services[name]
    for pair in filter(None, option(words, "update-tags").split(",")):
        tag, revision = pair.split("=")
        service["tags"][tag] = revision
    if "--to-latest" in words:
        service["serving"] = service["tags"]["candidate"]
    if tag := option(words, "to-tags"):
        service["serving"] = service["tags"][tag.removesuffix("=100")]
    return ""


def describe_service(services: dict, name: str, words: list[str]) -> str | None:
    service = services.get(name)
    if service is None:
        return None
    if option(words, "format").startswith("value"):
        return "https://service.example\n"
    lines = [f",{service['serving']},100,"]
    lines += [f"{tag},{rev},,https://{tag}.example" for tag, rev in service["tags"].items()]
    return "\n".join(lines) + "\n"


def curl(words: list[str], state: dict, given: str) -> str:
    url = words[-1]
    if url.endswith("/ready") or "url = " in given:
        return ""
    if "Bearer" not in given:
        return os.environ.get("CLOUD_STRANGER", "401")
    return os.environ.get("CLOUD_ANSWER", '{"status": "failed"}')


sys.exit(main())
