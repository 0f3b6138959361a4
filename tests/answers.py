"""Answers are what schemas/ says: asked of every answer that a test gets, where tests call.

``tests/conftest.py`` has every httpx client look here, and ``tests/database/caller.py`` every call
of an SQL function. What has no schema fails, so that whoever adds a function adds its schema.
"""

import json
import re
from functools import cache
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource

from local.supabase.receiver import PATH as RECEIVER
from schemas.documents import FOLDER, documents, functions

_RPC = re.compile(r"/rest/v1/rpc/(memoria_\w+)")
_SEARCH = r"/search/[0-9a-f-]{36}"
_SERVICES = {
    "POST /process": "process",
    "POST /cluster": "clustering",
    "POST /": "root",
    "GET /health": "health",
    "GET /ready": "ready",
    "POST /search": "search",
    f"GET {_SEARCH}": "search_again",
    f"POST {_SEARCH}/removal": "removal",
}


class NotAsPublished(AssertionError):
    """An answer that is not what schemas/ says."""


@cache
def _registry() -> Registry[Any]:
    return Registry().with_resources(
        (_uri(subject), Resource.from_contents(document))
        for subject, document in documents().items()
    )


def _uri(subject: str) -> str:
    return (FOLDER / f"{subject}.json").as_uri()


@cache
def _validator(subject: str, name: str) -> Draft202012Validator:
    schema = {"$ref": f"{_uri(subject)}#/$defs/{name}"}
    return Draft202012Validator(schema, registry=_registry())


def check(subject: str, name: str, value: Any) -> None:
    """Raise NotAsPublished where a value is not what schemas/SUBJECT.json says of NAME."""
    error = best_match(_validator(subject, name).iter_errors(value))
    if error is not None:
        path = error.json_path.removeprefix("$")
        raise NotAsPublished(f"{subject}.json, {name}{path}: {error.message}")


def check_function(name: str, value: Any) -> None:
    """The same, of the answer of a public SQL function."""
    if name not in functions():
        raise NotAsPublished(f"{name} has no schema: CONTRIBUTING.md says how to add one")
    check(functions()[name], name, value)


def check_response(response: httpx.Response) -> None:
    """The same, of any answer that came over HTTP; what is not ours is left alone."""
    path, method = response.request.url.path, response.request.method
    if not response.headers.get("Content-Type", "").startswith("application/json"):
        return
    if function := _RPC.fullmatch(path):
        if response.is_success:
            check_function(function[1], response.json())
        elif response.status_code != 401:  # the gateway's own
            check("http", "rest_error", response.json())
    elif path == RECEIVER and method == "GET":
        for delivery in response.json():
            check("callbacks", "callback", json.loads(delivery["body"]))
    else:
        check_service(method, path, response.status_code, response.text)


def check_service(method: str, path: str, status: int, body: str) -> None:
    """The JSON that *process* or *cluster* answer to a request."""
    for pattern, name in _SERVICES.items():
        if re.fullmatch(pattern, f"{method} {path}"):
            check("http", name if status == 200 else "error", json.loads(body))


def watch_httpx(patch: pytest.MonkeyPatch) -> list[NotAsPublished]:
    """Have every httpx client look at its answers. Returns the list of what was wrong, as it grows.

    What is wrong raises at once; code under test may swallow that, so it is kept as well.
    """
    faults: list[NotAsPublished] = []
    send = httpx.Client.send

    def checked(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        response = send(client, request, **options)
        try:
            if not options.get("stream"):
                check_response(response)
        except NotAsPublished as fault:
            faults.append(fault)
            raise
        return response

    patch.setattr(httpx.Client, "send", checked)
    return faults
