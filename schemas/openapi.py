"""JSON Schema -> docs/openapi.json: the routes of the HTTP functions (OpenAPI 3.1)."""

import json
from typing import Any

from schemas.documents import Schema, documents

_JSON = "application/json"
_WHAT = {
    400: "A field is wrong or missing: the message names it.",
    401: "No valid secret, signature or token.",
    403: "Consent is missing, or the guest was enough people.",
    404: "There is nothing at this path; a search that is not open.",
    405: "Another method.",
    409: "The ids belong to something else; the event is not ready for a search.",
    413: "The body is too large.",
    415: "The picture is no still photo.",
    422: "No use can be made of the picture.",
    429: "Too many searches: after Retry-After seconds.",
    500: "A bug of ours; the log has it.",
    503: "Try again: something is not to be reached now.",
}
_WORK = (400, 401, 404, 405, 409, 413, 500, 503)
_SEARCHING = (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503)
_OPEN = (404, 405, 500, 503)
_SECRET: list[Schema] = [{"secret": []}]
_TOKEN: list[Schema] = [*_SECRET, {"token": []}]
_NOBODY: list[Schema] = []


def openapi(version: str) -> Schema:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Memoria",
            "version": version,
            "description": "What /process, /cluster and /search take and answer.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {
            "securitySchemes": {
                "secret": {"type": "http", "scheme": "bearer", "description": "WEBHOOK_SECRET"},
                "token": {
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "`Search` and a token of memoria_create_search_link",
                },
            },
            "schemas": _components(),
        },
    }  # fmt: skip


def _paths() -> Schema:
    search_id = {"name": "search_id", "in": "path", "required": True}
    headers = [
        {"name": name, "in": "header", "required": False, "schema": _ref("types", "id")}
        for name in ("X-Memoria-Guest", "X-Memoria-Event")
    ]
    earlier: Schema = {"parameters": [search_id | {"schema": _ref("types", "uuid")}, *headers]}
    form = {
        "multipart/form-data": {"schema": _ref("http", "search_form")},
        _JSON: {"schema": _ref("http", "search_request")},
    }
    process = {_JSON: {"schema": _ref("http", "process_request")}}
    cluster = {_JSON: {"schema": _ref("http", "cluster_request")}}
    return {
        "/process": {"post": _operation("process", "process", _SECRET, _WORK, process)},
        "/cluster": {"post": _operation("cluster", "clustering", _SECRET, _WORK, cluster)},
        "/search": {"post": _operation("search", "search", _TOKEN, _SEARCHING, form)},
        "/search/{search_id}": earlier
        | {"get": _operation("search_again", "search_again", _TOKEN, _SEARCHING)},
        "/search/{search_id}/removal": earlier
        | {"post": _operation("request_removal", "removal", _TOKEN, _SEARCHING)},
        "/health": {"get": _operation("health", "health", _NOBODY, _OPEN)},
        "/ready": {"get": _operation("ready", "ready", _NOBODY, _OPEN)},
    }


def _operation(
    name: str,
    answer: str,
    security: list[Schema],
    statuses: tuple[int, ...],
    content: Schema | None = None,
) -> Schema:
    good = _ref("http", answer)
    answers = {"200": {"description": "Done.", "content": {_JSON: {"schema": good}}}}
    for status in statuses:
        content_of_error = {_JSON: {"schema": _ref("http", "error")}}
        answers[str(status)] = {"description": _WHAT[status], "content": content_of_error}
    body = {"requestBody": {"required": True, "content": content}} if content else {}
    return {"operationId": name, "security": security, **body, "responses": answers}


def _ref(subject: str, name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{subject}.{name}"}


def _components() -> Schema:
    return {
        f"{subject}.{name}": _moved(documents()[subject]["$defs"][name], subject)
        for subject in ("types", "http")
        for name in documents()[subject]["$defs"]
    }


def _moved(schema: Any, subject: str) -> Any:
    """The schema with its references into this document."""
    if isinstance(schema, list):
        return [_moved(one, subject) for one in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {name: _moved(value, subject) for name, value in schema.items()}
    if isinstance(reference := schema.get("$ref"), str):
        file, _, name = reference.partition("#/$defs/")
        moved["$ref"] = _ref(file.removesuffix(".json") or subject, name)["$ref"]
    return moved


def text(document: Schema) -> str:
    """The document as it is committed."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
