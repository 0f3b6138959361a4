"""The pg_net stand-in: what it promises, and what it does not."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from local.processes.stack import Stack


@dataclass
class Sink:
    """An HTTP server that keeps what it was sent; ``/slow/SECONDS`` takes its time."""

    url: str = ""
    received: list[dict[str, Any]] = field(default_factory=list)

    def wait_for(self, count: int, seconds: float = 30) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.received) >= count, seconds)
        return self.received


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            sink.received.append(
                {"path": self.path, "headers": headers, "body": body, "at": time.monotonic()}
            )
            if self.path.startswith("/slow/"):
                time.sleep(float(self.path.rpartition("/")[2]))
            self.send_response(503 if self.path == "/busy" else 200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, *_: object) -> None: ...  # a sender that hangs up is no news

    server = Server(("127.0.0.1", 0), Handler)
    sink.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield sink
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def connection(stack: Stack) -> Iterator[psycopg.Connection]:
    with psycopg.connect(stack.database_url, autocommit=True) as opened:
        wait_until(lambda: _queue_is_empty(opened))
        yield opened


@pytest.fixture
def rested(connection: psycopg.Connection) -> psycopg.Connection:
    """A connection to a worker that has had its nap after the last batch."""
    time.sleep(1.1)
    return connection


def _queue_is_empty(connection: psycopg.Connection) -> bool:
    row = connection.execute("select count(*) from net.http_request_queue").fetchone()
    return row == (0,)


def post(connection: psycopg.Connection, url: str, timeout_ms: int = 5000, body: str = "{}") -> int:
    statement = "select net.http_post(%s, %s::jsonb, timeout_milliseconds := %s)"
    row = connection.execute(statement, (url, body, timeout_ms)).fetchone()
    assert row is not None
    return int(row[0])


def response(connection: psycopg.Connection, request_id: int) -> dict[str, Any]:
    def find() -> tuple[Any, ...] | None:
        return connection.execute(
            "select status_code, timed_out, error_msg, content from net._http_response"
            " where id = %s",
            (request_id,),
        ).fetchone()

    wait_until(lambda: find() is not None)
    row = find()
    assert row is not None
    return dict(zip(("status_code", "timed_out", "error_msg", "content"), row, strict=True))


def test_a_request_is_sent_after_commit_and_not_before(sink: Sink, connection: psycopg.Connection):
    with connection.transaction():
        post(connection, f"{sink.url}/a", body='{"x": 1}')
        time.sleep(0.5)
        assert sink.received == []
    (sent,) = sink.wait_for(1)
    assert (sent["path"], json.loads(sent["body"])) == ("/a", {"x": 1})
    assert sent["headers"]["content-type"] == "application/json"
    assert sent["headers"]["user-agent"].startswith("pg_net/")


def test_a_rolled_back_request_is_never_sent(sink: Sink, connection: psycopg.Connection):
    with connection.transaction(force_rollback=True):
        post(connection, f"{sink.url}/rolled-back")
    post(connection, f"{sink.url}/kept")
    sink.wait_for(1)
    assert [sent["path"] for sent in sink.received] == ["/kept"]


def test_an_answer_is_kept_whatever_its_status_and_nothing_is_tried_again(
    sink: Sink, connection: psycopg.Connection
):
    kept = response(connection, post(connection, f"{sink.url}/busy"))
    assert kept == {"status_code": 503, "timed_out": False, "error_msg": None, "content": "ok"}
    time.sleep(1.5)
    assert len(sink.received) == 1


def test_a_timeout_and_a_refused_connection_are_recorded(
    sink: Sink, connection: psycopg.Connection
):
    late = response(connection, post(connection, f"{sink.url}/slow/2", timeout_ms=300))
    assert (late["status_code"], late["timed_out"]) == (None, True)
    refused = response(connection, post(connection, "http://127.0.0.1:9/"))
    assert (refused["status_code"], refused["timed_out"]) == (None, False)
    assert refused["error_msg"]


def test_a_batch_waits_for_its_slowest_and_stalls_what_comes_after(
    sink: Sink, rested: psycopg.Connection
):
    with rested.transaction():
        post(rested, f"{sink.url}/slow/1.5")
        post(rested, f"{sink.url}/quick")
    sink.wait_for(2)
    post(rested, f"{sink.url}/after")
    times = {sent["path"]: sent["at"] for sent in sink.wait_for(3)}
    assert abs(times["/quick"] - times["/slow/1.5"]) < 1.5  # all of a batch at once
    assert times["/after"] - times["/quick"] > 2.2  # 1.5 for the slowest, then the nap


def test_a_burst_goes_out_in_batches_of_two_hundred(sink: Sink, rested: psycopg.Connection):
    statement = "select net.http_post(%s || n) from generate_series(1, 450) n"
    rested.execute(statement, (f"{sink.url}/",))
    times = sorted(sent["at"] for sent in sink.wait_for(450, seconds=60))
    longest = sorted(range(1, 450), key=lambda n: times[n] - times[n - 1])[-2:]
    assert sorted(longest) == [200, 400]  # its naps
    assert all(times[n] - times[n - 1] > 0.6 for n in longest)


def test_a_timeout_of_nothing_is_no_timeout(sink: Sink, connection: psycopg.Connection):
    endless = post(connection, f"{sink.url}/slow/2.5", timeout_ms=0)
    assert response(connection, endless)["status_code"] == 200


@pytest.mark.parametrize("timeout", ["0.5", "'0.5'", "1e10"])
def test_a_timeout_that_is_no_integer_raises(connection: psycopg.Connection, timeout: str):
    with pytest.raises(psycopg.Error):
        connection.execute(f"select net.http_post('http://x/', timeout_milliseconds := {timeout})")


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://a b/", "Malformed input"),
        ("https://host/a b", "Malformed input"),
        ("", "Malformed input"),
        ("host/path", "Bad scheme"),
        ("ftp://host/", "Unsupported URL scheme"),
        ("https:///path", "No host part"),
        ("http://host:x1/", "Port number"),
        ("http://ho%st/", "Bad hostname"),
        ("http://[half/", "Bad IPv6 address"),
    ],
)
def test_an_address_is_looked_at_when_it_is_queued(
    connection: psycopg.Connection, url: str, fault: str
):
    with pytest.raises(psycopg.errors.RaiseException, match=fault):
        post(connection, url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9", "http://[::1]:9/x", "https://u:p@ho-st.example:443/a?b=c;d#e"]
)
def test_a_good_address_is_queued(connection: psycopg.Connection, url: str):
    with connection.transaction(force_rollback=True):
        assert post(connection, url) > 0


def test_a_worker_that_stands_still_sends_what_waited_once_it_is_restarted(
    sink: Sink, connection: psycopg.Connection
):
    post(connection, f"{sink.url}/slow/30", timeout_ms=0)  # holds the batch, and everybody's next
    sink.wait_for(1)
    connection.execute("select net._worker_stop()")
    waiting = post(connection, f"{sink.url}/waiting")
    time.sleep(1.5)
    assert [sent["path"] for sent in sink.received] == ["/slow/30"]
    connection.execute("delete from net.http_request_queue where url like '%/slow/30'")
    connection.execute("select net.worker_restart()")
    assert response(connection, waiting)["status_code"] == 200


def test_another_content_type_is_refused(connection: psycopg.Connection):
    with pytest.raises(psycopg.errors.RaiseException, match="application/json"):
        connection.execute(
            "select net.http_post('http://127.0.0.1:9', headers := %s)",
            (Jsonb({"Content-Type": "text/plain"}),),
        )


def test_parameters_become_the_urls_query(sink: Sink, connection: psycopg.Connection):
    connection.execute(
        """select net.http_post(%s, params := '{"a": "1 & 2", "ü": "x"}')""", (f"{sink.url}/q",)
    )
    (sent,) = sink.wait_for(1)
    assert sent["path"] == "/q?a=1%20%26%202&%C3%BC=x"


def test_the_standard_webhook_trigger_sends_the_standard_payload(
    sink: Sink, connection: psycopg.Connection
):
    connection.execute("drop table if exists public.hooked")
    connection.execute("create table public.hooked (id int, at timestamptz, note text)")
    connection.execute(
        "create trigger hook after insert or update or delete on public.hooked for each row execute"
        f" function supabase_functions.http_request('{sink.url}/hook', 'POST',"
        """ '{"Content-Type": "application/json", "Authorization": "Bearer x"}', '{}', '5000')"""
    )
    connection.execute("insert into public.hooked values (1, '2024-01-02T03:04:05Z', 'a')")
    connection.execute("update public.hooked set note = 'b'")
    connection.execute("delete from public.hooked")
    bodies = [json.loads(sent["body"]) for sent in sink.wait_for(3)]
    inserted, updated, deleted = sorted(bodies, key=lambda body: "IUD".index(body["type"][0]))
    row = {"id": 1, "at": "2024-01-02T03:04:05+00:00", "note": "a"}
    about = {"type": "INSERT", "table": "hooked", "schema": "public"}
    assert inserted == about | {"record": row, "old_record": None}
    assert (updated["record"]["note"], updated["old_record"]) == ("b", row)
    assert (deleted["record"], deleted["old_record"]["note"]) == (None, "b")
    assert sink.received[0]["headers"]["authorization"] == "Bearer x"


def test_a_crash_of_the_database_empties_the_queue_and_everything_comes_back(
    stack: Stack, sink: Sink, connection: psycopg.Connection
):
    stack.services["pg_net"].kill()
    lost = post(connection, f"{sink.url}/lost")
    connection.close()
    stack.postgres.restart("immediate")
    stack.services["pg_net"].start()
    with psycopg.connect(stack.database_url, autocommit=True) as fresh:
        assert _queue_is_empty(fresh)
        after = post(fresh, f"{sink.url}/after")
        assert after == 1 <= lost  # ids start again, and answers of old ones may be another's
        assert [sent["path"] for sent in sink.wait_for(1)] == ["/after"]
    # each connection that PostgREST held costs one caller a 503
    statuses = [_call(stack) for _ in range(30)]
    assert set(statuses) <= {200, 503}
    assert statuses[-5:] == [200] * 5


def _call(stack: Stack) -> int:
    headers = {"apikey": stack.keys.secret}
    return httpx.post(f"{stack.supabase_url}/rest/v1/rpc/null_value", headers=headers).status_code
