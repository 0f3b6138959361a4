"""A receiver of callbacks that takes longer than the lease of its job."""

import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from local.processes.postgres import Postgres
from memoria.callback import Callback
from memoria.config import Settings
from tests.database.project import Project

LEASE_SECONDS = 2


@pytest.fixture
def project(postgres_server: Postgres) -> Iterator[Project]:
    with Project(postgres_server.create_database("slow", template="migrated")) as project:
        yield project
    postgres_server.drop_database("slow")


@pytest.fixture
def receiver() -> Iterator[str]:
    class Slow(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            time.sleep(1.5 * LEASE_SECONDS)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Slow)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/callback"
    server.shutdown()
    server.server_close()


def test_what_it_accepted_in_the_end_is_delivered_once(project: Project, receiver: str) -> None:
    limits = {"process": 120, "cluster": 300, "callback": LEASE_SECONDS}
    settings = {"callbacks": True, "run_lease_seconds": limits}
    project.call("configure", settings=settings)
    event = str(uuid.uuid4())
    project.process(event, "m1", [])
    (job,) = project.rows("select id from memoria.jobs where kind = 'callback'")
    service = Settings.from_env(
        {
            "SUPABASE_URL": "https://a.example",
            "SUPABASE_SERVICE_ROLE_KEY": "key",
            "WEBHOOK_SECRET": "secret",
            "CALLBACK_URL": receiver,
            "CALLBACK_SECRET": "another",
        }
    )
    Callback(project.jobs, service).deliver(str(job["id"]), event)
    (row,) = project.rows("select status, deaths from memoria.jobs where id = %s", job["id"])
    assert row == {"status": "completed", "deaths": 0}
