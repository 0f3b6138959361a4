import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from memoria.auth import sign
from tests.answers import check
from tests.edge.conftest import PREVIOUS_SECRET, SECRET, App
from tests.edge.deno import FUNCTION, EdgeFunction, command, run_edge_function

pytestmark = pytest.mark.npm

Forge = Callable[[dict[str, str]], dict[str, str]]

COUNTS = b'"photos":{"total":3,"pending":0,"completed":2,"failed":1,"waiting":0}'
PHOTO = (
    b'{"job_id":"8f14e45f-ceea-4670-8c5c-f1b9b3c2a001","media_id":"IMG_0001","event_id":"gala",'
    b'"faces_detected":1,"faces":[{"bbox":{"x":0.2,"y":0.3,"w":0.15,"h":0.2},"quality_score":0.98,'
    b'"landmarks":{"left_eye":{"x":0.24,"y":0.36},"right_eye":{"x":0.3,"y":0.36},'
    b'"nose":{"x":0.27,"y":0.4},"mouth_left":{"x":0.25,"y":0.45},"mouth_right":{"x":0.3,"y":0.45}}}],'
    b'"processing_time_seconds":1.23,"status":"completed","model":"buffalo_l",%s}' % COUNTS
)
PEOPLE = (
    b'{"job_id":"8f14e45f-ceea-4670-8c5c-f1b9b3c2a002","event_id":"gala","total_faces":150,'
    b'"clusters_created":12,"noise_faces":5,"clusters":[],"processing_time_seconds":2.45,'
    b'"pending":3,"complete":false,"status":"completed",%s}' % COUNTS
)
FAILED = (
    b'{"job_id":"8f14e45f-ceea-4670-8c5c-f1b9b3c2a003","media_id":"IMG_0002","event_id":"gala",'
    b'"faces_detected":0,"faces":[],"status":"failed",'
    b'"error":{"code":"media_gone","message":"the photo is no longer in storage"},%s}' % COUNTS
)
for _body in (PHOTO, PEOPLE, FAILED):
    check("callbacks", "callback", json.loads(_body))


def signed(
    body: bytes, *, secret: str = SECRET, message_id: str = "", age: float = 0
) -> dict[str, str]:
    """The headers that memoria.callback sends."""
    signature = sign(secret, message_id or str(uuid4()), int(time.time() - age), body)
    return {"Authorization": f"Bearer {secret}", **signature}


def post(function: EdgeFunction, body: bytes, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(f"{function.url}/ml-callback", content=body, headers=headers, timeout=60)


def test_an_outcome_is_handed_to_the_handler(edge_function: EdgeFunction, app: App) -> None:
    for body in (PHOTO, PEOPLE, FAILED):
        assert post(edge_function, body, signed(body)).status_code == 200
    photo, people, failed = app.outcomes
    assert (photo["event_id"], photo["media_id"], photo["faces_detected"]) == (
        "gala",
        "IMG_0001",
        1,
    )
    assert (people["clusters_created"], people["photos"]["pending"]) == (12, 0)
    assert failed["error"]["code"] == "media_gone"


def test_as_it_is_shipped_it_logs_and_sends_nothing_to_browsers(
    deno: Path, edge_environ: dict[str, str], app: App
) -> None:
    with run_edge_function(deno, edge_environ) as function:
        for body in (PHOTO, PEOPLE):
            headers = signed(body, message_id="first")
            assert post(function, body, headers).status_code == 200
        log = function.log.read_text()
    assert "delivery first, completed: photo IMG_0001: 1 faces" in log
    assert app.outcomes == []


def test_a_delivery_that_comes_twice_is_acknowledged_twice_and_handled_once(
    edge_function: EdgeFunction, app: App
) -> None:
    answers = [post(edge_function, PHOTO, signed(PHOTO, message_id="same")) for _ in range(2)]
    assert [answer.json() for answer in answers] == [{"received": "same"}] * 2
    assert len(app.outcomes) == 1


def test_what_could_not_be_handled_is_refused_and_handled_when_it_comes_again(
    edge_function: EdgeFunction, app: App
) -> None:
    app.status = 500
    refused = post(edge_function, PHOTO, signed(PHOTO, message_id="again"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (
        503,
        "temporarily_unavailable",
    )
    app.status = 202
    assert post(edge_function, PHOTO, signed(PHOTO, message_id="again")).status_code == 200
    assert [outcome["delivery_id"] for outcome in app.outcomes] == ["again"]


def test_two_secrets_are_valid_at_once_in_either_form(edge_function: EdgeFunction) -> None:
    for secret in (SECRET, PREVIOUS_SECRET):
        assert post(edge_function, PHOTO, signed(PHOTO, secret=secret)).status_code == 200


@pytest.mark.parametrize(("characters", "status"), [(200, 200), (201, 400)])
def test_an_id_has_200_characters_as_the_database_counts_them(
    edge_function: EdgeFunction, characters: int, status: int
) -> None:
    """Before, each of these counted twice, and the outcome of such a photo was refused."""
    body = PHOTO.replace(b"IMG_0001", ("\N{PARTY POPPER}" * characters).encode())
    assert post(edge_function, body, signed(body)).status_code == status


def _without(name: str) -> Forge:
    return lambda headers: {key: value for key, value in headers.items() if key != name}


def _with(name: str, value: str) -> Forge:
    return lambda headers: headers | {name: value}


@pytest.mark.parametrize(
    "forge",
    [
        _without("Authorization"),
        _without("webhook-id"),
        _without("webhook-timestamp"),
        _without("webhook-signature"),
        _with("Authorization", "Bearer wrong"),
        _with("Authorization", f"Basic {SECRET}"),
        _with("Authorization", "Bearer"),
        _with("webhook-id", "another"),
        _with("webhook-timestamp", "soon"),
        _with("webhook-timestamp", "-1"),
        _with("webhook-timestamp", "9" * 40),
        _with("webhook-signature", "v1,"),
        _with("webhook-signature", "v1,!!not base64!!"),
        _with("webhook-signature", "v1,AAAA"),
        _with("webhook-signature", "v1,garbage" + " v1,garbage" * 50),
        _with("webhook-signature", "\xff\xfe"),
    ],
)
def test_a_forged_or_broken_header_is_unauthorized(
    edge_function: EdgeFunction,
    app: App,
    forge: Forge,
) -> None:
    headers = forge(signed(PHOTO))
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = httpx.post(edge_function.url, content=PHOTO, headers=raw)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    assert not app.outcomes


@pytest.mark.parametrize(("age", "status"), [(301, 401), (285, 200), (-299, 200), (-315, 401)])
def test_a_signature_is_good_for_five_minutes(
    edge_function: EdgeFunction, age: float, status: int
) -> None:
    assert post(edge_function, PHOTO, signed(PHOTO, age=age)).status_code == status


def test_a_changed_body_is_unauthorized(edge_function: EdgeFunction) -> None:
    changed = PHOTO.replace(b'"faces_detected":1', b'"faces_detected":2')
    assert post(edge_function, changed, signed(PHOTO)).status_code == 401


def test_the_signature_must_be_made_with_the_secret_whatever_the_bearer_says(
    edge_function: EdgeFunction,
) -> None:
    headers = signed(PHOTO, secret="another") | {"Authorization": f"Bearer {SECRET}"}
    assert post(edge_function, PHOTO, headers).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"not json", "JSON"),
        (b"\xff", "JSON"),
        (b"[]", "object"),
        (b"{}", "job_id"),
        (PHOTO.replace(b'"gala"', b'""'), "event_id"),
        (PHOTO.replace(b'"completed"', b'"done"'), "status"),
        (PHOTO.replace(b'"faces_detected":1', b'"faces_detected":-1'), "faces_detected"),
        (PEOPLE.replace(b'"clusters":[]', b'"clusters":{}'), "clusters"),
        (PEOPLE.replace(b'"pending":3', b'"pending":"some"'), "pending"),
        (PEOPLE.replace(b'"complete":false', b'"complete":0'), "complete"),
        (FAILED.replace(b'"error"', b'"mistake"'), "error"),
    ],
)
def test_a_body_that_is_no_outcome_is_refused_by_the_name_of_its_field(
    edge_function: EdgeFunction, body: bytes, field: str
) -> None:
    answer = post(edge_function, body, signed(body))
    assert answer.status_code == 400
    assert field in answer.json()["error"]["message"]


def test_only_post_is_answered_and_only_up_to_a_size(edge_function: EdgeFunction) -> None:
    assert httpx.get(edge_function.url).status_code == 405
    large = b" " * ((16 << 20) + 1)
    assert post(edge_function, large, signed(large)).status_code == 413

    def chunks() -> Any:
        yield from (large[:1_000_000] for _ in range(17))

    endless = httpx.post(edge_function.url, content=chunks(), headers=signed(b""))
    assert endless.status_code == 413


def test_it_does_not_start_without_a_secret(deno: Path) -> None:
    started = subprocess.run(
        command(deno),
        env={"NO_COLOR": "1", "CALLBACK_SECRET": " "},
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode != 0
    assert "CALLBACK_SECRET is missing" in started.stderr


def test_its_types_style_and_format_hold(deno: Path) -> None:
    for command_ in (["check", "."], ["lint", "."], ["fmt", "--check", "."]):
        done = subprocess.run(
            [str(deno), *command_], cwd=FUNCTION, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
