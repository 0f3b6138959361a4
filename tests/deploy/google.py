"""Google's APIs as the real gcloud calls them: as much as a deployment needs, over plain HTTP.

gcloud is told to send every request through this server as through a proxy. Answers have the shape
of the APIs' own: Knative's Service and Revision for Cloud Run, google.rpc.Status for errors.
"""

import base64
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
STATUS = {
    400: "FAILED_PRECONDITION",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
}


class ApiError(Exception):
    """An answer that is none: ``ApiError(404, "…")``."""


@dataclass
class Google:
    """``with Google() as google``: an empty project p-1 behind ``google.port``.

    ``url`` is where services are reached. A request whose ``METHOD host/path`` matches ``fails``
    is answered with ``fails_with``.
    """

    url: str = ""
    fails: str = ""
    fails_with: int = 429
    secrets: Json = field(default_factory=dict)
    services: Json = field(default_factory=dict)
    revisions: Json = field(default_factory=dict)
    others: Json = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    _etags: int = 0

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def state(self) -> Json:
        """In the shape of ``cloud.Project.state``."""
        services = {}
        for name, service in self.services.items():
            traffic = service["status"]["traffic"]
            services[name] = {
                "traffic": {t["revisionName"]: t["percent"] for t in traffic if t.get("percent")},
                "tags": {t["tag"]: t["revisionName"] for t in traffic if "tag" in t},
                "revisions": {
                    r: _given(made) for r, made in self.revisions.items() if r.startswith(name)
                },
            }
        return {"services": services, "secrets": self.secrets}

    def answer(self, method: str, url: str, body: Json) -> Json:
        parts = urlsplit(url)
        place = f"{method} {parts.hostname}{parts.path}"
        self.requests.append(place)
        if self.fails and re.search(self.fails, place):
            raise ApiError(self.fails_with, "no")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        api = (parts.hostname or "").removesuffix(".googleapis.com").rpartition("-")[2]
        answers: dict[str, Callable[[str, str, Json, Json], Json]] = {
            "run": self._run, "secretmanager": self._secret,
        }  # fmt: skip
        with self._lock:
            return answers.get(api, self._other)(method, parts.path, query, body)

    def _secret(self, method: str, path: str, query: Json, body: Json) -> Json:
        if path.endswith("/versions"):  # asked before a secret is deleted
            return {"totalSize": 0}
        if path.endswith("/secrets"):
            name = query["secretId"]
            if name in self.secrets:
                raise ApiError(409, f"Secret [projects/1/secrets/{name}] already exists.")
            self.secrets[name] = {"versions": [], "states": {}, **body}
            return self._changed(name)
        found = re.fullmatch(
            r"/v1/projects/[^/]+/secrets/([^/:]+)(?:/versions/(\w+))?(?::(\w+))?", path
        )
        assert found, path
        name, version, verb = found.groups()
        if name not in self.secrets:
            raise ApiError(404, f"Secret [projects/1/secrets/{name}] not found.")
        if query.get("etag", body.get("etag")) not in (None, self.secrets[name]["etag"]):
            raise ApiError(400, "The etag provided does not match the resource's.")
        if method == "PATCH":
            self.secrets[name]["ttl"] = body["ttl"]
            return self._changed(name)
        if method == "DELETE":
            del self.secrets[name]
            return {}
        if verb in ("getIamPolicy", "setIamPolicy"):
            return {"etag": "BwY=", "bindings": body.get("policy", {}).get("bindings", [])}
        versions = self.secrets[name]["versions"]
        if verb == "addVersion":
            versions.append(base64.b64decode(body["payload"]["data"]).decode())
            version = "latest"
        return self._version(name, version, verb) if version else self._described(name)

    def _described(self, name: str) -> Json:
        known = self.secrets[name]
        return {"name": f"projects/1/secrets/{name}", "createTime": "2026-11-25T17:00:00Z",
                "labels": known.get("labels", {}), "etag": known["etag"],
                "expireTime": known.get("expires", "2999-01-01T00:00:00.5Z")}  # fmt: skip

    def _changed(self, name: str) -> Json:
        self._etags += 1
        self.secrets[name]["etag"] = f'"16{self._etags}"'
        return self._described(name)

    def _version(self, name: str, version: str, verb: str | None) -> Json:
        versions = self.secrets[name]["versions"]
        number = len(versions) if version == "latest" else int(version)
        if not 0 < number <= len(versions):
            raise ApiError(404, f"Secret [projects/1/secrets/{name}] not found or has no versions.")
        path = f"projects/1/secrets/{name}/versions/{number}"
        state = self.secrets[name]["states"].get(number, "ENABLED")
        answer: Json = {"name": path, "state": state,
                        "clientSpecifiedPayloadChecksum": True}  # fmt: skip
        if verb == "access" and state != "ENABLED":
            raise ApiError(400, f"Secret Version [{path}] is in {state} state.")
        if verb == "access":
            data = base64.b64encode(versions[number - 1].encode()).decode()
            answer = {"name": answer["name"], "payload": {"data": data}}
        return answer

    def _other(self, method: str, path: str, query: Json, body: Json) -> Json:
        """Anything that is created under a name; everything that takes time is done at once."""
        if path.endswith(("getIamPolicy", "setIamPolicy")):
            return {"etag": "BwY=", "bindings": body.get("policy", {}).get("bindings", [])}
        if "/operations/" in path:
            return {"name": path[4:], "done": True, "response": {}}
        if method == "GET":
            if path not in self.others:
                raise ApiError(404, "Requested entity was not found.")
            found: Json = self.others[path]
            return found
        if "accountId" in body:
            email = f"{body['accountId']}@p-1.iam.gserviceaccount.com"
            self.others[f"/v1/projects/-/serviceAccounts/{email}"] = {"email": email, "name": email}
            return {"email": email, "name": email}
        if name := query.get("repositoryId"):
            self.others[f"{path}/{name}"] = {"name": f"{path[4:]}/{name}"}
            operation = f"{path[4:]}".replace("/repositories", "/operations/1")
            return {"name": operation, "done": True, "response": self.others[f"{path}/{name}"]}
        return {"name": "operations/1", "done": True, "response": {}}

    def _run(self, method: str, path: str, query: Json, body: Json) -> Json:
        if path.endswith("IamPolicy"):
            return {"etag": "BwY=", "bindings": []}
        kind, _, name = path.partition("/namespaces/p-1/")[2].partition("/")
        if kind == "revisions" and name in self.revisions:
            revision: Json = self.revisions[name]
            return revision
        if kind != "services" or (method != "POST" and name not in self.services):
            raise ApiError(404, f"Resource '{name}' of kind '{kind}' does not exist.")
        if method in ("POST", "PUT"):
            self._reconcile(body)
            name = body["metadata"]["name"]
        service: Json = self.services[name]
        return service

    def _reconcile(self, service: Json) -> None:
        """A new revision where the template is a new one; its traffic as the spec says."""
        name, template = service["metadata"]["name"], service["spec"]["template"]
        revision = template["metadata"].get("name") or f"{name}-{len(self.revisions) + 1:05d}"
        ready = [
            {"type": kind, "status": "True"}
            for kind in ("Ready", "ConfigurationsReady", "RoutesReady")
        ]
        self.revisions.setdefault(revision, {
            "apiVersion": "serving.knative.dev/v1", "kind": "Revision", "spec": template["spec"],
            "metadata": {**template["metadata"], "name": revision, "namespace": "p-1"},
            "status": {"conditions": ready},
        })  # fmt: skip
        traffic = []
        for target in service["spec"].get("traffic", [{"latestRevision": True, "percent": 100}]):
            told = {**target, "revisionName": target.get("revisionName", revision)}
            if "tag" in told:
                told["url"] = f"{self.url}/{told['tag']}/{name}"
            traffic.append(told)
        generation = service["metadata"].get("generation", 0) + 1
        service["metadata"] |= {"generation": generation, "resourceVersion": str(generation)}
        service["status"] = {
            "observedGeneration": generation, "conditions": ready, "traffic": traffic,
            "url": f"{self.url}/serving/{name}", "address": {"url": f"{self.url}/serving/{name}"},
            "latestCreatedRevisionName": revision, "latestReadyRevisionName": revision,
        }  # fmt: skip
        self.services[name] = service


def _given(revision: Json) -> Json:
    env = revision["spec"]["containers"][0].get("env", [])
    uses = {e["name"]: e["valueFrom"]["secretKeyRef"] for e in env if "valueFrom" in e}
    return {
        "env": {e["name"]: e.get("value", "") for e in env if "valueFrom" not in e},
        "secrets": {name: f"{use['name']}:{use['key']}" for name, use in uses.items()},
    }


def _handler(google: Google) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            try:
                status, answer = (
                    200,
                    google.answer(self.command, self.path, json.loads(body or b"{}")),
                )
            except ApiError as problem:
                status, message = problem.args
                answer = {"error": {"code": status, "message": message, "status": STATUS[status]}}
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _any  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler
