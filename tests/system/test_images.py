"""The images as they are deployed: built from their Dockerfiles, run as Cloud Run runs them."""

import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from local.demo.event import event_status, media_of, read_event, upload_event
from local.demo.folders import find_photos
from local.processes.postgres import free_port
from local.processes.stack import Stack, StackOptions
from tests.data import SITCOM, SMALL_PACK, there
from tests.security.media_host import raw, serving
from tests.system.containers import Container, build, make_base, megabytes, missing

# the first test waits for what was never built on this machine
pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(1800)]

SECRET = "a-secret-between-friends"
ENVIRON = {
    "SUPABASE_URL": "http://127.0.0.1:9",
    "SUPABASE_SERVICE_ROLE_KEY": "key",
    "CALLBACK_URL": "off",
    "WEBHOOK_SECRET": SECRET,
}


@pytest.fixture(scope="module")
def images() -> dict[str, str]:
    if lacking := missing():
        pytest.skip(lacking)
    make_base()
    with ThreadPoolExecutor() as both:  # each waits for the network and the disk in its turn
        process = both.submit(build, "process", "--target", "cpu", "--build-arg", "WEIGHTS=none")
        cluster = both.submit(build, "cluster")
    return {"process": process.result(), "cluster": cluster.result()}


@pytest.fixture(scope="module")
def pack() -> dict[Path, str]:
    """A small pack, mounted where the image keeps its own."""
    return {there(SMALL_PACK): "/models/buffalo_l"}


@pytest.fixture
def cluster(images: dict[str, str]) -> Iterator[Container]:
    with Container(images["cluster"], free_port(), ENVIRON) as container:
        container.wait_ready()
        yield container


@pytest.fixture
def process(images: dict[str, str], pack: dict[Path, str]) -> Iterator[Container]:
    with Container(images["process"], free_port(), ENVIRON, pack) as container:
        container.wait_ready()
        yield container


def test_cluster_answers_and_holds_nothing_it_does_not_need(cluster: Container) -> None:
    health = httpx.get(f"{cluster.url}/health", trust_env=False).json()
    assert health["status"] == "healthy"
    script = "import importlib.util as u; print([m for m in {!r} if u.find_spec(m)])"
    heavy = ["cv2", "onnxruntime", "onnx", "insightface", "PIL", "pip"]
    assert cluster.execute("/opt/venv/bin/python", "-c", script.format(heavy)).strip() == "[]"
    assert not cluster.execute("find", "/", "-xdev", "-name", "*.onnx", check=False).count(".onnx")


def test_process_answers_with_a_mounted_pack(process: Container) -> None:
    health = httpx.get(f"{process.url}/health", trust_env=False).json()
    assert health["status"] == "healthy"
    assert health["model_loaded"] is True
    bearer = {"Authorization": f"Bearer {SECRET}"}
    metrics = httpx.get(f"{process.url}/metrics", headers=bearer, trust_env=False).text
    assert "process_resident_memory_bytes" in metrics
    assert httpx.get(f"{process.url}/metrics", trust_env=False).status_code == 401


def test_it_runs_as_nobody_and_can_write_to_memory_only(process: Container) -> None:
    assert process.execute("id", "-u").strip() == "65532"
    for place in ("/app/x", "/opt/venv/x", "/models/x", "/x", "/etc/x"):
        assert "ouch" in process.execute("touch", place, check=False)  # "touch: cannot touch …"
    process.execute("touch", "/tmp/x")


def test_everything_is_compiled_and_only_the_sources_are_there(process: Container) -> None:
    assert process.execute("find", "/app", "-name", "config.*.pyc").strip()
    assert process.execute("find", "/opt/venv", "-path", "*numpy/__pycache__/__init__*").strip()
    found = process.execute("find", "/app", "-maxdepth", "1").split()
    assert {Path(name).name for name in found} == {
        "app", "main.py", "memoria", "gunicorn.conf.py", "__pycache__",
    }  # fmt: skip


@pytest.mark.parametrize("service", ["process", "cluster"])
def test_without_its_settings_it_stops_and_names_them_all(
    images: dict[str, str], service: str
) -> None:
    with Container(images[service], free_port(), {}) as container:
        end = time.monotonic() + 30
        while container.state["Running"] and time.monotonic() < end:
            time.sleep(0.1)
        assert not container.state["Running"]
        assert container.state["ExitCode"] != 0
        for name in ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "CALLBACK_URL"):
            assert name in container.logs()


def test_the_weights_are_not_baked_in_before_their_licence_is_accepted(
    images: dict[str, str],
) -> None:
    with pytest.raises(AssertionError, match="non-commercial research only"):
        build("process", "--target", "weights", "--build-arg", "WEIGHTS=release", tag="refused")


def test_the_sizes_are_what_the_readme_says(images: dict[str, str]) -> None:
    sizes = {service: megabytes(image) for service, image in images.items()}
    assert sizes["cluster"] < 400
    assert sizes["process"] < 750


def test_an_event_goes_through_both_containers(
    images: dict[str, str], pack: dict[Path, str]
) -> None:
    options = StackOptions(
        without=frozenset({"process", "cluster"}),
        settings={"quiet_period_seconds": 1},
        sweep_seconds=1,
    )
    photos = find_photos(there(SITCOM))
    with Stack(options) as stack:
        environ = {
            "SUPABASE_URL": stack.supabase_url,
            "SUPABASE_SERVICE_ROLE_KEY": stack.keys.secret,
            "CALLBACK_URL": stack.callback_url,
            "CALLBACK_SECRET": stack.callback_secret,
            "WEBHOOK_SECRET": stack.webhook_secret,
            "MODEL_PACK": "scrfd2.5g_mobilefacenet",
            "MODEL_DIR": "/models/buffalo_l",
        }
        with (
            Container(images["process"], stack.ports["process"], environ, pack) as process,
            Container(images["cluster"], stack.ports["cluster"], environ) as cluster,
        ):
            process.wait_ready()
            cluster.wait_ready()
            client, event_id = stack.client(), str(uuid.uuid4())
            names = upload_event(client, event_id, photos, lambda: None)
            end = time.monotonic() + 400
            while not event_status(client, event_id)["done"] and time.monotonic() < end:
                time.sleep(0.5)
            answer = read_event(client, event_id, media_of(client, event_id), names)
            assert process.state["OOMKilled"] is cluster.state["OOMKilled"] is False
    assert {photo["status"] for photo in answer["photos"].values()} == {"completed"}
    assert len(answer["photos"]) == len(photos)
    assert answer["people"]


def test_sigterm_lets_the_request_finish_and_ends_within_ten_seconds(
    images: dict[str, str], pack: dict[Path, str]
) -> None:
    photo = next(iter(find_photos(there(SITCOM)).values())).read_bytes()
    pieces = [photo[at : at + len(photo) // 6] for at in range(0, len(photo), len(photo) // 6)]
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(photo)}\r\n\r\n".encode()
    with serving() as supabase:
        supabase.answers["/photo"] = raw(head, *pieces, pause=0.5)
        supabase.answers["/rest/v1/rpc/memoria_claim"] = unknown
        environ = {**ENVIRON, "SUPABASE_URL": supabase.origin}
        with Container(images["process"], free_port(), environ, pack) as container:
            container.wait_ready()
            answers: list[httpx.Response] = []
            asking = threading.Thread(
                target=lambda: answers.append(ask(container, supabase.origin))
            )
            asking.start()
            while not any(path == "/photo" for path, _ in supabase.asked):
                time.sleep(0.05)
            started = time.monotonic()
            container.stop()
            asking.join()
            assert time.monotonic() - started < 10
            assert container.state["ExitCode"] == 0
    assert answers[0].status_code == 200
    assert answers[0].json()["status"] == "completed"


def ask(container: Container, origin: str) -> httpx.Response:
    ids = dict.fromkeys(("job_id", "media_id", "event_id"), "test-123")
    return httpx.post(
        f"{container.url}/process",
        json={**ids, "media_url": f"{origin}/photo"},
        headers={"Authorization": f"Bearer {SECRET}"},
        timeout=60,
        trust_env=False,
    )


def unknown(handler: BaseHTTPRequestHandler) -> None:
    """A database that has never heard of the job."""
    handler.rfile.read(int(handler.headers["Content-Length"]))
    data = b'{"outcome": "unknown"}'
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)
