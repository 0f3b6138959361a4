"""``make serve`` as one who builds an app on it meets it: one system for the whole module."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest
from PIL import Image

from local import serve as module
from local.demo.ports import PORTS
from local.demo.sample_event import group_photo
from local.demo.system import HOST_EMAIL, HOST_PASSWORD
from local.processes.home import Home, HomeInUse
from local.processes.postgres import free_port
from local.processes.services import PortInUse, bound
from local.serve import SELFIE
from memoria.faces import open_engine
from tests.data import any_pack, photo_of_six
from tests.documents import ROOT, page
from tests.states import state_folder

pytestmark = pytest.mark.slow


def first_port() -> int:
    """The first of five in a row that are free."""
    while True:
        first = free_port()
        with suppress(Exception):
            for number in range(len(PORTS)):
                bound("", first + number).close()
            return first


@dataclass
class Serving:
    """A ``make serve`` that has said where it is."""

    process: subprocess.Popen[bytes]
    state: Path
    log: Path
    first_port: int

    @property
    def said(self) -> str:
        return self.log.read_text()

    def wait_for(self, words: str, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)

    @property
    def known(self) -> dict[str, str]:
        """What the file says that a shell sources."""
        text = (self.state / "env").read_text()
        return dict(re.findall(r"^export (\w+)='?([^'\n]*)'?$", text, re.MULTILINE))

    def call(self, function: str, token: str = "", **arguments: object) -> httpx.Response:
        key = self.known["SUPABASE_PUBLISHABLE_KEY" if token else "SUPABASE_SERVICE_ROLE_KEY"]
        headers = {"apikey": key, "Authorization": f"Bearer {token or key}"}
        url = f"{self.known['SUPABASE_URL']}/rest/v1/rpc/{function}"
        return httpx.post(url, json=arguments, headers=headers)

    def token(self, **who: str) -> str:
        kind = "token?grant_type=password" if who else "signup"
        url = f"{self.known['SUPABASE_URL']}/auth/v1/{kind}"
        key = {"apikey": self.known["SUPABASE_PUBLISHABLE_KEY"]}
        return str(httpx.post(url, json=who, headers=key).raise_for_status().json()["access_token"])

    def memoria(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "memoria", *arguments],
            env=os.environ | self.known | {"XDG_STATE_HOME": str(self.state)},
            cwd=self.state, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


@contextmanager
def serve(state: Path, first: int | None, log: Path) -> Iterator[Serving]:
    environ = {
        "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}",
        "MODEL_DIR": str(any_pack()),
        "MEMORIA_STATE": str(state),
        "FIRST_PORT": str(first or ""),
        "COLUMNS": "200",
    }
    with log.open("wb") as out, subprocess.Popen(
        [sys.executable, "-m", "local.serve"], cwd=ROOT, env=os.environ | environ,
        stdin=subprocess.DEVNULL, stdout=out, stderr=out,
    ) as process:  # fmt: skip
        try:
            yield Serving(process, state, log, first or 0)
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def serving(state: Path) -> Iterator[Serving]:
    with serve(state, first_port(), state / "said.txt") as running:
        running.wait_for("Ctrl-C ends it")
        yield running


def test_it_says_url_key_and_how_to_sign_in(serving: Serving) -> None:
    known = serving.known
    for value in (known["SUPABASE_URL"], known["SUPABASE_PUBLISHABLE_KEY"], HOST_EMAIL):
        assert value in serving.said
    assert known["SUPABASE_URL"].endswith(f":{serving.first_port + 2}")
    for secret in ("env", "keys.json"):
        assert (serving.state / secret).stat().st_mode & 0o077 == 0


def test_the_host_sees_the_sample_event_and_a_guest_does_not(serving: Serving) -> None:
    host = serving.token(email=HOST_EMAIL, password=HOST_PASSWORD)
    guest = serving.token()
    events = serving.call("my_events", host).json()
    sample = {"event_id": "sample", "title": "Sample event", "status": "open", "role": "host"}
    assert [event for event in events if sample.items() <= event.items()]
    assert serving.call("memoria_event_status", host, p_event_id="sample").status_code == 200
    assert serving.call("my_events", guest).json() == []
    assert serving.call("memoria_event_status", guest, p_event_id="sample").status_code == 404
    assert serving.call("memoria_create_event", guest, p_event_id="guests").status_code == 200
    asked = {"p_event_id": "guests", "p_email": HOST_EMAIL, "p_role": "viewer"}
    assert serving.call("invite", guest, **asked).status_code == 403  # nor asks for accounts
    members = serving.call("event_members", guest, p_event_id="guests").json()
    assert [(one["email"], one["is_owner"]) for one in members] == [(None, True)]


def test_members_use_the_bucket_as_the_rights_on_the_event_let_them(serving: Serving) -> None:
    host = serving.token(email=HOST_EMAIL, password=HOST_PASSWORD)
    guest = serving.token()
    url = f"{serving.known['SUPABASE_URL']}/storage/v1/object"

    def asked(token: str, method: str, path: str, data: bytes | None = None) -> int:
        key = serving.known["SUPABASE_PUBLISHABLE_KEY"]
        headers = {"apikey": key, "Authorization": f"Bearer {token}", "Content-Type": "image/jpeg"}
        return httpx.request(method, f"{url}/{path}", content=data, headers=headers).status_code

    assert asked(host, "POST", "photos/sample/new.jpg", b"photo") == 200
    assert asked(host, "GET", "photos/sample/new.jpg") == 200
    assert asked(guest, "GET", "photos/sample/new.jpg") == 400
    assert asked(guest, "POST", "photos/sample/guest.jpg", b"photo") == 400
    assert asked(guest, "DELETE", "photos/sample/new.jpg") == 400
    assert asked(host, "DELETE", "photos/sample/new.jpg") == 200


def test_doctor_is_green(serving: Serving) -> None:
    done = serving.memoria("doctor", "--wait", "60")
    assert [line for line in done.stdout.splitlines() if line.startswith("wrong")] == []
    assert done.returncode == 0, done.stdout + done.stderr


def test_backfill_takes_a_bucket_and_a_table(serving: Serving) -> None:
    with psycopg.connect(serving.known["DATABASE_URL"]) as connection:
        connection.execute(
            "create table public.my_photos as select 'group' as id, 'group.jpg' as path;"
            "grant select on public.my_photos to service_role"
        )
    bucket = serving.memoria("backfill", "storage://samples", "--event", "from a bucket")
    table = serving.memoria("backfill", "table:my_photos", "--event", "from a table",
                            "--bucket", "samples", "--column", "media_id=id")  # fmt: skip
    assert bucket.stderr.startswith("2 photos were enqueued"), bucket.stderr
    assert table.stderr.startswith("1 photo was enqueued"), table.stderr


def test_the_pages_come_with_the_headers_that_an_app_needs(serving: Serving) -> None:
    pages, known = f"http://127.0.0.1:{serving.first_port + 3}", serving.known
    for path in ("/gallery/", "/gallery/app.js", "/config.js", "/nothing"):
        headers = httpx.get(pages + path).headers
        rules = (rule.split(" ") for rule in headers["content-security-policy"].split("; "))
        assert {name: set(sources) for name, *sources in rules} == {
            "default-src": {"'none'"},
            "script-src": {"'self'"},
            "style-src": {"'self'"},
            "img-src": {"'self'", "blob:", "data:", known["SUPABASE_URL"]},
            "connect-src": {known["SUPABASE_URL"], known["SEARCH_URL"]},
            "manifest-src": {"'self'"},
            "base-uri": {"'none'"},
            "form-action": {"'none'"},
            "frame-ancestors": {"'none'"},
        }
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
    assert httpx.get(f"{pages}/gallery").headers["location"] == "/gallery/"
    config = httpx.get(f"{pages}/config.js").text
    assert known["SUPABASE_PUBLISHABLE_KEY"] in config
    assert known["SUPABASE_SERVICE_ROLE_KEY"] not in config
    for path in (
        "/../Makefile",
        "/gallery/../../Makefile",
        "/.hidden",
        "/gallery/%2e%2e/x",
        "/%2Fetc",
    ):
        assert httpx.get(pages + path).status_code == 404


def test_the_functions_answer_pages_of_any_origin(serving: Serving) -> None:
    asked = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(f"{serving.known['SEARCH_URL']}/search", headers=asked)
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"


def test_the_selfie_that_readme_searches_with_shows_one_face(offline_pack: Path) -> None:
    with Image.open(group_photo()) as group:
        selfie = np.asarray(group.crop(SELFIE).convert("RGB"))
    assert len(open_engine(offline_pack).find_faces(selfie)) == 1


def test_the_commands_of_readme_work_as_printed(serving: Serving) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", page("README.md"), re.DOTALL)
    (search,) = [block for block in blocks if "SEARCH_URL" in block]
    (asked,) = [block for block in blocks if "8081/process" in block]
    deadline = time.monotonic() + 60
    while not serving.call("memoria_event_status", p_event_id="sample").json()["done"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    program = search.replace(".local-state", str(serving.state))
    done = subprocess.run(
        ["sh", "-euc", program], cwd=serving.state, capture_output=True, text=True, check=False
    )
    # the tiny pack, which stands in where there are no weights, sees painted faces only
    expected = '"code":"no_face"' if any_pack().name == "tiny" else '"outcome":"'
    assert expected in done.stdout.replace(" ", ""), done.stdout + done.stderr
    for number, port in enumerate((8081, 8082, 8083)):
        asked = asked.replace(str(port), str(serving.first_port + number))
    done = subprocess.run(["sh", "-euc", asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"status":"completed"' in done.stdout.replace(" ", ""), done.stdout


def test_a_search_that_is_refused_says_what_to_do(serving: Serving, tmp_path: Path) -> None:
    picture = tmp_path / "six.jpg"
    picture.write_bytes(photo_of_six())
    refused = serving.memoria("search", "sample", str(picture))
    assert refused.returncode == 2
    assert refused.stdout == ""
    point = re.search(r"several_faces: .*: --point (\S+) or ", refused.stderr)
    assert point, refused.stderr
    said = serving.memoria("search", "sample", str(picture), "--point", point[1])
    assert said.returncode in (0, 1), said.stderr  # the painted six are not in the sample event
    assert "Is there an event nosuch?" in serving.memoria("search", "nosuch", str(picture)).stderr


def test_a_half_sent_request_holds_no_thread_as_in_the_image(serving: Serving) -> None:
    function = ("127.0.0.1", serving.first_port + 1)
    with ExitStack() as exits:
        for _ in range(9):  # one more than there are threads
            half = exits.enter_context(socket.create_connection(function))
            half.sendall(b"GET /health HTTP/1.1\r\nHost: ")
        assert httpx.get(f"{serving.known['CLUSTER_URL']}/health", timeout=8).status_code == 200


def _command(process: Path) -> str:
    with suppress(OSError):
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def test_another_one_and_a_port_that_is_taken_are_told_in_a_sentence(
    serving: Serving, tmp_path: Path
) -> None:
    with serve(serving.state, serving.first_port, tmp_path / "again.txt") as again:
        assert again.process.wait(60) == 1
        assert "serves from" in again.said
    taken_log = tmp_path / "taken.txt"
    with state_folder() as other, serve(other, serving.first_port, taken_log) as taken:
        assert taken.process.wait(60) == 1
    assert f"Port {serving.first_port}, where process was to listen, is in use" in taken.said
    offered = re.search(r"make serve FIRST_PORT=(\d+)", taken.said)
    assert offered, taken.said
    for number in range(len(PORTS)):
        bound("", int(offered[1]) + number).close()
    for said in (again.said, taken.said):
        assert "Traceback" not in said
        assert "starting" not in said


REFUSALS = (
    (Home, "take", HomeInUse("process 7 serves from here")),
    (module, "require_free", PortInUse("Port 8081 is in use.")),
)


@pytest.mark.parametrize(("place", "name", "refusal"), REFUSALS)
def test_who_is_refused_has_nothing_fetched(
    place: Any, name: str, refusal: Exception,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def refuse(*_: object) -> None:
        raise refusal

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(place, name, refuse)
    monkeypatch.setattr(module, "choose_pack", never)
    with state_folder() as folder:
        monkeypatch.setenv("MEMORIA_STATE", str(folder))
        assert module.main() == 1
    assert str(refusal) in capsys.readouterr().out


def test_a_service_that_dies_is_said_and_started_again(serving: Serving) -> None:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            environ = (process / "environ").read_bytes()
            ours = f"MEMORIA_STATE={serving.state}".encode() in environ
            if ours and "pages:create_app" in _command(process):
                os.kill(int(process.name), signal.SIGKILL)
    serving.wait_for("pages ended by itself and is started again")
    url, deadline = f"http://127.0.0.1:{serving.first_port + 3}/gallery/", time.monotonic() + 30
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(url).status_code == 200:
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_was_there_is_there_after_a_kill_and_a_start(serving: Serving, tmp_path: Path) -> None:
    """The last: the one that all others share is gone then."""
    known, host = serving.known, serving.token(email=HOST_EMAIL, password=HOST_PASSWORD)
    serving.call("memoria_create_event", host, p_event_id="mine")
    with psycopg.connect(known["DATABASE_URL"]) as connection:  # a run that the kill cuts
        connection.execute(
            "insert into memoria.jobs (kind, event_id, status, max_attempts, token, leased_until)"
            " values ('cluster', 'mine', 'running', 5, gen_random_uuid(), now() + interval '1 day')"
        )
    serving.process.kill()
    serving.process.wait()
    with serve(serving.state, None, tmp_path / "said.txt") as again:
        again.wait_for("Ctrl-C ends it")
        assert again.known == known  # the ports, too
        assert "mine" in str(again.call("my_events", host).json())  # the token is good still
        with psycopg.connect(known["DATABASE_URL"]) as connection:
            held = "select from memoria.jobs where leased_until > now() + interval '1 hour'"
            assert connection.execute(held).fetchall() == []
        again.process.send_signal(signal.SIGINT)
        assert again.process.wait(60) == 0
    for number in range(len(PORTS)):  # nothing is left
        bound("", serving.first_port + number, 5).close()
