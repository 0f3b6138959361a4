"""Whole requests: the real functions over HTTP, the real database, a real engine."""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from local.processes.stack import Stack, StackOptions
from memoria.auth import sign
from memoria.store.people import load_faces
from tests.data import any_pack, photo_of_six
from tests.functions.party import bare_event, bare_face

BUCKET = "photos"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Everything but pg_net and cron: here the tests do the nudging."""
    options = StackOptions(
        environ={
            "MODEL_DIR": str(any_pack()),
            "MAX_MEDIA_BYTES": "20000000",
            "FETCH_TIMEOUT_SECONDS": "5",
            "CLUSTER_MAX_FACES": "1000",
        },
        without=frozenset({"pg_net", "cron"}),
        settings={
            "quiet_period_seconds": 0,
            "max_in_flight": {"process": 100, "cluster": 100, "callback": 100},
            "max_attempts": {"process": 2, "cluster": 2, "callback": 2},
        },
    )
    with Stack(options) as stack:
        stack.client().storage.create_bucket(BUCKET)
        yield stack


@pytest.fixture(scope="module")
def photo() -> bytes:
    """Six faces."""
    return photo_of_six()


class Event:
    """One event of a test: uploads, nudges, reads."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.id = f"event {uuid.uuid4()}"
        self.client = stack.client()

    def add(self, data: bytes | None, *, bucket: str = BUCKET, path: str | None = None) -> Json:
        media_id = str(uuid.uuid4())
        path = path or f"{self.id}/{media_id}.jpg"
        if data is not None:
            self.client.storage.from_(bucket).upload(path, data)
        params = {"p_media_id": media_id, "p_event_id": self.id, "p_bucket": bucket, "p_path": path}
        job = self.client.rpc("memoria_enqueue", params).execute().data
        return {"job_id": job["job_id"], "media_id": media_id, "event_id": self.id}

    def url(self, path: str, seconds: int = 60) -> str:
        signed = self.client.storage.from_(BUCKET).create_signed_url(path, seconds)
        return str(signed["signedURL"])

    def rows(self, query: str, *values: object) -> list[Any]:
        with psycopg.connect(self.stack.database_url) as connection:
            return connection.execute(query, values).fetchall()

    def cluster_job(self) -> str:
        rows = self.rows(
            "select id from memoria.jobs where event_id = %s and kind = 'cluster'"
            " and status in ('queued', 'dispatched')",
            self.id,
        )
        assert len(rows) == 1
        return str(rows[0][0])

    def callbacks(self, source_job: str) -> list[Json]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            bodies = [json.loads(delivery["body"]) for delivery in self.stack.deliveries()]
            if found := [body for body in bodies if body["job_id"] == source_job]:
                return found
            time.sleep(0.05)
        return []


@pytest.fixture
def event(stack: Stack) -> Event:
    return Event(stack)


def ask(stack: Stack, service: str, body: Json) -> httpx.Response:
    url = {"process": stack.process_url, "cluster": stack.cluster_url}[service]
    headers = {"Authorization": f"Bearer {stack.webhook_secret}"}
    return httpx.post(f"{url}/{service}", json=body, headers=headers, timeout=60, trust_env=False)


def nudge(stack: Stack, kind: str, ids: Json, service: str | None = None) -> httpx.Response:
    """The standard webhook payload, signed as the database signs it."""
    record = {"id": 1, "service": service or kind, "kind": kind, **ids}
    body = {"type": "INSERT", "table": "dispatches", "schema": "memoria", "record": record}
    raw = json.dumps(body | {"old_record": None}).encode()
    headers = sign(stack.webhook_secret, "nudge", int(time.time()), raw)
    url = stack.cluster_url if (service or kind) == "cluster" else stack.process_url
    return httpx.post(url, content=raw, headers=headers, timeout=60, trust_env=False)


def test_a_photo_that_the_database_does_not_know_is_answered_in_full(
    stack: Stack, event: Event, photo: bytes
) -> None:
    event.client.storage.from_(BUCKET).upload("try/me.jpg", photo)
    ids = {"job_id": "test-123", "media_id": "test-123", "event_id": "test-123"}
    answer = ask(stack, "process", ids | {"media_url": event.url("try/me.jpg")})
    body = answer.json()
    assert answer.status_code == 200
    assert {name: body[name] for name in ids} == ids
    assert body["status"] == "completed"
    assert body["stored"] is False
    assert body["model"] == any_pack().name
    assert body["faces_detected"] == len(body["faces"]) == 6
    for face in body["faces"]:
        assert set(face) == {"bbox", "embedding", "quality_score", "landmarks"}
        assert len(face["embedding"]) == 512
        assert sum(value**2 for value in face["embedding"]) == pytest.approx(1, abs=1e-4)
        assert 0 <= face["quality_score"] <= 1
    assert event.rows("select 1 from memoria.media where id = 'test-123'") == []


def test_a_nudge_is_acknowledged_briefly_and_the_faces_are_stored(
    stack: Stack, event: Event, photo: bytes
) -> None:
    ids = event.add(photo)
    answer = nudge(stack, "process", ids)
    assert answer.status_code == 200
    assert len(answer.content) < 300
    assert answer.json()["status"] == "completed"
    assert "embedding" not in answer.text
    stored = event.rows("select count(*) from memoria.faces where media_id = %s", ids["media_id"])
    assert stored == [(6,)]
    [delivery] = event.callbacks(ids["job_id"])
    assert delivery["status"] == "completed"
    assert delivery["faces_detected"] == 6
    assert "embedding" not in json.dumps(delivery)


def test_the_same_nudge_twice_changes_nothing(stack: Stack, event: Event, photo: bytes) -> None:
    ids = event.add(photo)
    nudge(stack, "process", ids)
    before = event.rows("select id from memoria.faces where media_id = %s", ids["media_id"])
    again = nudge(stack, "process", ids).json()
    assert again == {"job_id": ids["job_id"], "status": "skipped", "reason": "done"}
    assert event.rows("select id from memoria.faces where media_id = %s", ids["media_id"]) == before


def test_a_nudge_for_what_is_gone_is_acknowledged(stack: Stack) -> None:
    ids = {"job_id": str(uuid.uuid4()), "event_id": "e", "media_id": "m"}
    answer = nudge(stack, "process", ids)
    assert (answer.status_code, answer.json()["reason"]) == (200, "gone")


def test_ids_that_belong_to_something_else_are_refused(
    stack: Stack, event: Event, photo: bytes
) -> None:
    one, other = event.add(photo), event.add(photo)
    url = "https://storage.googleapis.com/x"
    for change in ({"event_id": "another"}, {"job_id": other["job_id"]}):
        answer = ask(stack, "process", one | change | {"media_url": url})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"this is no photo", "unreadable_media"),
        (b"%PDF-1.7 and so on", "unsupported_media_type"),
        (b"\xff\xd8\xff\xe0 torn off", "unreadable_media"),
        (b"", "unreadable_media"),
        (b"\0" * 20_000_001, "media_too_large"),
        (None, "media_gone"),
    ],
)
def test_a_photo_that_cannot_be_read_fails_with_its_reason(
    stack: Stack, event: Event, data: bytes | None, code: str
) -> None:
    ids = event.add(data)
    event.rows(  # one that is young is looked for again
        "update memoria.media set placed_at = now() - interval '1 hour' where id = %s returning id",
        ids["media_id"],
    )
    answer = nudge(stack, "process", ids)
    assert answer.status_code == 200
    assert answer.json()["status"] == "failed"
    assert answer.json()["error"]["code"] == code
    recorded = event.rows(
        "select status, error_code from memoria.media where id = %s", ids["media_id"]
    )
    assert recorded == [("failed", code)]
    [delivery] = event.callbacks(ids["job_id"])
    assert delivery["status"] == "failed"
    assert delivery["error"]["code"] == code
    assert delivery["faces"] == []


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest/meta-data", "https://evil.example/a.jpg", "file:///etc/passwd"],
)
def test_a_forbidden_url_of_a_known_photo_is_renewed_from_storage(
    stack: Stack, event: Event, photo: bytes, url: str
) -> None:
    ids = event.add(photo)
    answer = ask(stack, "process", ids | {"media_url": url})
    assert answer.json()["faces_detected"] == 6


def test_a_forbidden_url_of_an_unknown_photo_fails(stack: Stack) -> None:
    ids = {"job_id": "j", "media_id": "m", "event_id": "e"}
    body = ask(stack, "process", ids | {"media_url": "http://10.0.0.1/x?token=secret"}).json()
    assert body["status"] == "failed"
    assert body["error"]["code"] == "media_forbidden"
    assert body["faces"] == []
    assert "secret" not in json.dumps(body)


def test_an_expired_url_is_renewed_from_the_storage_path(
    stack: Stack, event: Event, photo: bytes
) -> None:
    ids = event.add(photo)
    url = event.url(f"{event.id}/{ids['media_id']}.jpg", seconds=1)
    time.sleep(2.1)
    assert ask(stack, "process", ids | {"media_url": url}).json()["status"] == "completed"


def test_a_photo_whose_object_comes_after_its_row_is_found(
    stack: Stack, event: Event, photo: bytes
) -> None:
    ids = event.add(None)
    assert nudge(stack, "process", ids).status_code == 503
    event.client.storage.from_(BUCKET).upload(f"{event.id}/{ids['media_id']}.jpg", photo)
    event.rows(
        "update memoria.jobs set run_after = now() where id = %s returning id", ids["job_id"]
    )
    assert nudge(stack, "process", ids).json()["faces_detected"] == 6


def test_an_unreachable_host_is_tried_again_later_for_days_and_then_given_up(
    stack: Stack, event: Event
) -> None:
    ids = event.add(None, bucket="gs://nobody-listens-there")
    first = nudge(stack, "process", ids)
    assert (first.status_code, first.json()["error"]["code"]) == (503, "media_unavailable")
    [(status, attempts)] = event.rows(
        "select status, attempts from memoria.jobs where id = %s", ids["job_id"]
    )
    assert (status, attempts) == ("queued", 0)
    assert nudge(stack, "process", ids).json()["reason"] == "later"
    event.rows(
        "update memoria.jobs set run_after = now(), waiting_since = now() - interval '73 hours'"
        " where id = %s returning id",
        ids["job_id"],
    )
    last = nudge(stack, "process", ids)
    assert last.json()["error"]["code"] == "media_unavailable"
    assert last.json()["status"] == "failed"


def test_the_last_photo_makes_a_cluster_job_that_finds_the_people(
    stack: Stack, event: Event, photo: bytes
) -> None:
    for _ in range(3):
        nudge(stack, "process", event.add(photo))
    job = event.cluster_job()
    body = ask(stack, "cluster", {"job_id": job, "event_id": event.id}).json()
    assert body["status"] == "completed"
    assert (body["total_faces"], body["clusters_created"], body["noise_faces"]) == (18, 6, 0)
    assert [cluster["cluster_label"] for cluster in body["clusters"]] == list(range(6))
    assert {cluster["face_count"] for cluster in body["clusters"]} == {3}
    assert all(0 < cluster["avg_quality"] <= 1 for cluster in body["clusters"])
    [delivery] = event.callbacks(job)
    assert delivery["clusters"] == body["clusters"]
    again = ask(stack, "cluster", {"job_id": job, "event_id": event.id}).json()
    assert again["reason"] == "done"


def test_an_event_that_the_database_does_not_know_has_nobody_in_it(stack: Stack) -> None:
    body = ask(stack, "cluster", {"job_id": "test-123", "event_id": "test-123"}).json()
    assert body["stored"] is False
    assert (body["total_faces"], body["clusters"], body["status"]) == (0, [], "completed")


def test_an_event_whose_photos_all_failed_is_done_and_empty(stack: Stack, event: Event) -> None:
    nudge(stack, "process", event.add(b"no photo"))
    body = nudge(stack, "cluster", {"job_id": event.cluster_job(), "event_id": event.id}).json()
    assert (body["status"], body["clusters_created"]) == ("completed", 0)


def test_an_event_of_too_many_faces_waits_and_says_so(
    stack: Stack, event: Event, photo: bytes
) -> None:
    nudge(stack, "process", event.add(photo))
    ids = {"job_id": event.cluster_job(), "event_id": event.id}
    columns = "event_id, media_id, media_number, x, y, w, h, score, quality, model, embedding"
    event.rows(
        f"insert into memoria.faces (id, {columns})"
        f" select gen_random_uuid(), {columns} from memoria.faces, generate_series(1, 200)"
        " where event_id = %s returning 1",
        event.id,
    )
    answer = ask(stack, "cluster", ids)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "needs_memory")
    told = event.client.rpc("memoria_event_status", {"p_event_id": event.id}).execute().data
    assert told["clustering"] == "needs_memory"
    assert told["clustering_error"]["message"] == (
        "the event has 1,206 faces, CLUSTER_MAX_FACES is 1,000: raise it"
    )
    event.rows("delete from memoria.faces where landmarks is null returning 1")
    event.client.rpc("memoria_recluster", {"p_event_id": event.id}).execute()
    assert ask(stack, "cluster", ids).json()["total_faces"] == 6


def test_faces_that_come_and_go_while_an_event_is_read_are_the_next_runs(stack: Stack) -> None:
    """While photos are uploaded a face comes every moment: reading anew would never end."""
    event = bare_event(stack)
    photos = [bare_face(stack, event) for _ in range(6)]
    client, calls = stack.client(), iter(range(100))

    class Busy:
        def rpc(self, name: str, params: Json) -> Any:
            match next(calls):
                case 1:
                    bare_face(stack, event)
                case 2:
                    client.rpc("memoria_delete_media", {"p_media_id": photos[0]}).execute()
                    bare_face(stack, event)
            return client.rpc(name, params)

    faces = load_faces(Busy(), event, page_faces=2)  # type: ignore[arg-type]
    assert 5 <= len(faces) <= 8
    assert len({face.tobytes() for face in faces.ids}) == len(faces)


def test_an_archived_event_is_left_alone(stack: Stack, event: Event, photo: bytes) -> None:
    ids = event.add(photo)
    event.client.rpc("memoria_archive_event", {"p_event_id": event.id}).execute()
    assert nudge(stack, "process", ids).json()["reason"] == "archived"


def test_ready_tells_the_model(stack: Stack) -> None:
    for url in (stack.process_url, stack.cluster_url):
        body = httpx.get(f"{url}/ready", trust_env=False).json()
        assert body["status"] == "ready"
    assert httpx.get(f"{stack.process_url}/health", trust_env=False).json()["model_loaded"] is True


def test_nothing_secret_is_logged(stack: Stack) -> None:
    for name in ("process", "cluster"):
        text = (stack.folder / f"{name}.log").read_text()
        assert '"severity"' in text
        for secret in (stack.webhook_secret, stack.callback_secret, stack.keys.secret, "token="):
            assert secret not in text
