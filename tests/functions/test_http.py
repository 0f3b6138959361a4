"""What the rim answers before any work is done."""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from memoria.auth import sign
from memoria.packs.inference import hindrance
from tests.functions.conftest import SECRET

Serve = Callable[..., FlaskClient]
BEARER = {"Authorization": f"Bearer {SECRET}"}
DIRECT = {
    "process": {
        "job_id": "j",
        "media_id": "m",
        "event_id": "e",
        "media_url": "https://a.example/b",
    },
    "cluster": {"job_id": "j", "event_id": "e"},
}
both = pytest.mark.parametrize("name", ["process", "cluster"])


def error_of(response: Any) -> tuple[int, str]:
    body = response.get_json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    return response.status_code, body["error"]["code"]


@both
def test_health_is_open_and_builds_nothing(serve: Serve, name: str) -> None:
    body = serve(name).get("/health").get_json()
    assert body["status"] == "healthy"
    assert body["gpu_available"] is False
    assert body["model_loaded"] is (name == "cluster")
    assert body.get("inference") == ("onnxruntime" if name == "process" else None)


def test_health_tells_which_library_serves_and_not_which_was_asked_for(serve: Serve) -> None:
    body = serve("process", INFERENCE="openvino").get("/health").get_json()
    assert body["inference"] == ("onnxruntime" if hindrance() else "openvino")


@both
@pytest.mark.parametrize("path", ["/nope", "/process/more", "/health/x", "/%2e%2e/etc", "/admin"])
@pytest.mark.parametrize("headers", [{}, BEARER])
def test_other_routes_are_not_found(serve: Serve, name: str, path: str, headers: Any) -> None:
    assert error_of(serve(name).post(path, headers=headers)) == (404, "not_found")


def test_each_service_knows_only_its_own_route(serve: Serve) -> None:
    assert serve("process").post("/cluster", headers=BEARER).status_code == 404
    assert serve("cluster").post("/process", headers=BEARER).status_code == 404


@both
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("DELETE", "/"), ("PUT", "/"), ("POST", "/health"), ("POST", "/metrics")],
)
def test_other_methods_are_not_allowed(serve: Serve, name: str, method: str, path: str) -> None:
    answer = serve(name).open(path, method=method, headers=BEARER)
    assert error_of(answer) == (405, "method_not_allowed")


@both
@pytest.mark.parametrize("path", ["/", "own"])
@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": SECRET}, {"apikey": SECRET}],
)
def test_a_stranger_is_sent_away_without_detail(
    serve: Serve, name: str, path: str, headers: Any
) -> None:
    answer = serve(name).post(f"/{name}" if path == "own" else path, json={}, headers=headers)
    assert error_of(answer) == (401, "unauthorized")
    assert "WWW-Authenticate" in answer.headers


@both
def test_a_stranger_cannot_make_us_read_a_body(serve: Serve, name: str) -> None:
    class Unread(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise AssertionError("the body was read")

    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = serve(name).post("/", input_stream=Unread(), content_length=10, headers=headers)
        assert answer.status_code == 401


@both
def test_metrics_need_the_secret(serve: Serve, name: str) -> None:
    client = serve(name)
    assert client.get("/metrics").status_code == 401
    client.get("/health")
    told = client.get("/metrics", headers=BEARER)
    assert told.status_code == 200
    assert "memoria_requests_total" in told.text


@both
@pytest.mark.parametrize("how", ["declared", "streamed"])
def test_a_body_over_one_mebibyte_is_refused(serve: Serve, name: str, how: str) -> None:
    body = b" " * ((1 << 20) + 1)
    client = serve(name)
    if how == "declared":
        answer = client.post("/", data=body, headers=BEARER)
    else:
        answer = client.post(
            "/",
            input_stream=io.BytesIO(body),
            headers=BEARER | {"Transfer-Encoding": "chunked"},
            environ_overrides={"wsgi.input_terminated": True},
        )
    assert error_of(answer) == (413, "body_too_large")


@both
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff", b"null", b"{}"])
def test_a_malformed_body_is_refused(serve: Serve, name: str, body: bytes) -> None:
    assert error_of(serve(name).post("/", data=body, headers=BEARER)) == (400, "invalid_request")


@both
def test_a_missing_field_is_named(serve: Serve, name: str) -> None:
    for field in DIRECT[name]:
        body = {key: value for key, value in DIRECT[name].items() if key != field}
        answer = serve(name).post("/", json=body, headers=BEARER)
        assert answer.get_json()["error"]["message"] == f"{field}: is missing"


@both
def test_a_nudge_for_the_other_service_is_refused(serve: Serve, name: str) -> None:
    other = "cluster" if name == "process" else "process"
    record = {"kind": other, "job_id": "j", "event_id": "e"}
    body = {"type": "INSERT", "table": "dispatches", "schema": "memoria", "record": record}
    answer = serve(name).post("/", json=body, headers=BEARER)
    assert error_of(answer) == (400, "invalid_request")
    assert "record.kind" in answer.get_json()["error"]["message"]


@both
def test_a_signed_body_is_accepted_and_a_changed_one_is_not(serve: Serve, name: str) -> None:
    body = json.dumps({"nothing": "useful"}).encode()
    headers = sign(SECRET, "msg", int(time.time()), body)
    client = serve(name)
    assert client.post("/", data=body, headers=headers).status_code == 400  # past the door
    assert client.post("/", data=body + b" ", headers=headers).status_code == 401


@both
def test_two_secrets_are_accepted_during_a_rotation(serve: Serve, name: str) -> None:
    client = serve(name, WEBHOOK_SECRET="new", WEBHOOK_SECRET_PREVIOUS="old")
    for secret, status in (("new", 400), ("old", 400), (SECRET, 401)):
        answer = client.post("/", headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == status


def test_without_a_database_a_request_is_put_off(serve: Serve) -> None:
    answer = serve("cluster").post("/cluster", json=DIRECT["cluster"], headers=BEARER)
    assert error_of(answer) == (503, "store_unavailable")


@pytest.mark.parametrize("name", ["process", "cluster"])
def test_a_bad_environment_stops_the_start(serve: Serve, name: str) -> None:
    with pytest.raises(SystemExit) as caught:
        serve(name, SUPABASE_URL="nonsense", CALLBACK_URL="nonsense", DET_SIZE="big")
    for variable in ("SUPABASE_URL", "CALLBACK_URL", "DET_SIZE"):
        assert variable in str(caught.value)


def test_without_weights_the_service_is_not_ready_and_claims_nothing(
    serve: Serve, tmp_path: Path
) -> None:
    client = serve("process", MODEL_DIR=str(tmp_path))
    for answer in (
        client.get("/ready"),
        client.post("/process", json=DIRECT["process"], headers=BEARER),
    ):
        assert error_of(answer) == (503, "engine_unavailable")
        assert str(tmp_path) not in answer.text
    assert client.get("/health").get_json()["model_loaded"] is False
