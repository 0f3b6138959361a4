"""The life of jobs as a state machine: random deeds on the real SQL beside a small model of it."""

from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.database.caller import Database, Json

MEDIA = [f"m{n}" for n in range(6)]
IN_FLIGHT, ATTEMPTS, DEATHS = 2, 3, 3
BOXES = [(0.1, 0.1, 0.2, 0.2), (0.6, 0.6, 0.2, 0.2)]


def event_of(media: str) -> str:
    return f"event{int(media[1:]) % 2}"


@dataclass
class Photo:
    """What the model knows of a photo's one live or last job."""

    job: Json
    status: str = "waiting"  # waiting running completed failed
    tries: int = 0
    attempts: int = 0  # failures of its own
    deaths: int = 0
    token: str | None = None
    expired: bool = False
    faces: int = 0


@dataclass
class Model:
    photos: dict[str, Photo] = field(default_factory=dict)
    archived: set[str] = field(default_factory=set)
    claims: list[tuple[str, Json]] = field(default_factory=list)  # every claim ever made


class JobsMachine(RuleBasedStateMachine):
    db: Database  # of the test that runs this machine

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.db.do("delete from memoria.events")
        self.db.configure(
            max_in_flight={"process": IN_FLIGHT}, max_attempts={"process": ATTEMPTS},
            max_deaths=DEATHS, quiet_period_seconds=0,
        )  # fmt: skip

    @rule(media=st.sampled_from(MEDIA))
    def enqueue(self, media: str) -> None:
        event, known = event_of(media), self.model.photos.get(media)
        if event in self.model.archived:
            with pytest.raises(psycopg.Error, match="archived"):
                self.db.service.enqueue(media, event)
            return
        job = self.db.service.enqueue(media, event)
        if known and known.status != "failed":
            assert job["job_id"] == known.job["job_id"]
        else:
            self.model.photos[media] = Photo(job, faces=known.faces if known else 0)

    @precondition(lambda self: self.model.photos)
    @rule(data=st.data())
    def claim(self, data: Any) -> None:
        media = data.draw(st.sampled_from(sorted(self.model.photos)))
        photo = self.model.photos[media]
        expected = self._expected(photo, event_of(media))
        answer = self.db.service.claim(photo.job)
        assert answer.get("reason", answer["outcome"]) in expected
        if answer["outcome"] == "claimed":
            photo.tries += 1
            photo.deaths += photo.status == "running"
            assert answer["attempt"] == photo.tries
            photo.status, photo.token, photo.expired = "running", answer["token"], False
            self.model.claims.append((media, answer))

    def _expected(self, photo: Photo, event: str) -> set[str]:
        if photo.status in {"completed", "failed"}:
            return {"done" if photo.status == "completed" else "dead"}
        if event in self.model.archived:
            return {"archived"}
        if photo.status == "running" and not photo.expired:
            return {"running"}
        if photo.status == "running" and photo.deaths + 1 >= DEATHS:
            return {"dead"}
        return {"claimed"} if photo.status == "running" else {"claimed", "later"}

    def _current(self, media: str, claim: Json) -> bool:
        photo = self.model.photos.get(media)
        return (
            photo is not None
            and event_of(media) not in self.model.archived
            and (photo.status, photo.token, photo.expired) == ("running", claim["token"], False)
        )

    @precondition(lambda self: self.model.claims)
    @rule(data=st.data(), faces=st.integers(0, 2))
    def complete(self, data: Any, faces: int) -> None:
        media, claim = data.draw(st.sampled_from(self.model.claims))
        current = self._current(media, claim)
        answer = self.db.service.complete(claim, BOXES[:faces])
        assert (answer["outcome"] == "stored") is current
        if current:
            photo = self.model.photos[media]
            photo.status, photo.faces = "completed", faces

    @precondition(lambda self: self.model.claims)
    @rule(data=st.data(), terminal=st.booleans(), outside=st.booleans())
    def fail(self, data: Any, terminal: bool, outside: bool) -> None:
        media, claim = data.draw(st.sampled_from(self.model.claims))
        current = self._current(media, claim)
        answer = self.db.service.fail(claim, terminal=terminal, outside=outside)
        assert (answer["outcome"] != "skipped") is current
        if current:
            photo = self.model.photos[media]
            photo.attempts += terminal or not outside
            ended = terminal or photo.attempts >= ATTEMPTS
            photo.status = "failed" if ended else "waiting"

    @precondition(lambda self: self.model.claims)
    @rule(data=st.data())
    def heartbeat(self, data: Any) -> None:
        media, claim = data.draw(st.sampled_from(self.model.claims))
        answer = self.db.service("heartbeat", job_id=claim["job_id"], token=claim["token"])
        assert answer["held"] is self._current(media, claim)

    @rule()
    def workers_fall_silent(self) -> None:
        self.db.expire("running")
        for photo in self.model.photos.values():
            photo.expired = photo.expired or photo.status == "running"

    @rule()
    def nudges_get_lost(self) -> None:
        self.db.expire("dispatched")

    @rule()
    def time_passes(self) -> None:
        self.db.hurry()

    @rule()
    def sweep(self) -> None:
        self.db.service("sweep")
        for media, photo in self.model.photos.items():
            archived = event_of(media) in self.model.archived
            if photo.status == "running" and photo.expired and not archived:
                photo.deaths += 1
                photo.status = "failed" if photo.deaths >= DEATHS else "waiting"

    @rule(event=st.sampled_from(["event0", "event1"]))
    def cluster(self, event: str) -> None:
        for job in self.db.dispatched("cluster"):
            claim = self.db.service.claim(job, kind="cluster")
            if claim["outcome"] == "claimed" and job["event_id"] == event:
                _save(self.db, claim)
            elif claim["outcome"] == "claimed":
                self.db.service.fail(claim)

    @rule(event=st.sampled_from(["event0", "event1"]))
    def archive_or_reopen(self, event: str) -> None:
        if not any(event_of(media) == event for media in self.model.photos):
            return
        if event not in self.model.archived:
            self.db.service("archive_event", event_id=event)
            self.model.archived.add(event)
            return
        self.db.service("reopen_event", event_id=event)
        self.model.archived.remove(event)
        for media, photo in self.model.photos.items():
            again = photo.status in {"waiting", "running"} or photo.faces > 0
            if event_of(media) == event and again:
                self.model.photos[media] = Photo(self._latest_job(media), faces=photo.faces)

    def _latest_job(self, media: str) -> Json:
        job = self.db.value(
            "select id from memoria.jobs where media_id = %s and kind = 'process'"
            " order by created_at desc limit 1",
            media,
        )
        return {"job_id": str(job), "media_id": media, "event_id": event_of(media)}

    @precondition(lambda self: self.model.photos)
    @rule(data=st.data())
    def delete(self, data: Any) -> None:
        media = data.draw(st.sampled_from(sorted(self.model.photos)))
        self.db.service("delete_media", media_id=media)
        del self.model.photos[media]

    @invariant()
    def the_database_is_what_the_model_says(self) -> None:
        found = {
            media: (status, *counts)
            for media, status, *counts in self.db.rows(
                "select distinct on (m.id) m.id, j.status, j.tries, j.attempts, j.deaths,"
                " (select count(*) from memoria.faces where media_id = m.id)"
                " from memoria.media m join memoria.jobs j on j.media_id = m.id"
                " where j.kind = 'process' order by m.id, j.created_at desc"
            )
        }
        assert found.keys() == self.model.photos.keys()
        for media, photo in self.model.photos.items():
            status, *counts = found[media]
            states = {"waiting": {"queued", "dispatched"}}.get(photo.status, {photo.status})
            if event_of(media) in self.model.archived and photo.status in {"waiting", "running"}:
                states = {"cancelled"}
            assert status in states, media
            assert counts == [photo.tries, photo.attempts, photo.deaths, photo.faces], media

    @invariant()
    def no_more_in_flight_than_the_limit(self) -> None:
        assert self.db.value("select memoria.in_flight('process')") <= IN_FLIGHT

    @invariant()
    def a_photo_is_pending_exactly_while_a_job_works_on_it(self) -> None:
        assert self.db.rows(
            "select m.id from memoria.media m join memoria.events e on e.id = m.event_id"
            " where e.status = 'open' and (m.status = 'pending') <> exists ("
            "   select from memoria.jobs where media_id = m.id and kind = 'process'"
            "   and status in ('queued', 'dispatched', 'running'))"
        ) == []  # fmt: skip

    @invariant()
    def an_event_whose_photos_are_done_has_a_clustering_after_the_last(self) -> None:
        assert self.db.rows(
            "select m.event_id from memoria.media m join memoria.events e on e.id = m.event_id"
            " where e.status = 'open' group by m.event_id"
            " having bool_and(m.status <> 'pending') and not exists ("
            "   select from memoria.jobs j where j.event_id = m.event_id and j.kind = 'cluster'"
            "   and (j.status in ('queued', 'dispatched') or j.started_at >= max(m.completed_at)))"
        ) == []  # fmt: skip

    @invariant()
    def an_archived_event_holds_no_vector_and_no_work(self) -> None:
        assert self.db.rows(
            "select e.id from memoria.events e where e.status = 'archived' and (exists ("
            "   select from memoria.faces where event_id = e.id and embedding is not null)"
            " or exists (select from memoria.jobs where event_id = e.id and kind <> 'callback'"
            "   and status in ('queued', 'dispatched', 'running')))"
        ) == []  # fmt: skip

    def teardown(self) -> None:
        """Whatever happened, it all comes to its end by itself."""
        live = "select kind, status from memoria.jobs where finished_at is null"
        for _ in range(60):
            if not self.db.rows(live):
                break
            self.db.expire("running")
            self.db.expire("dispatched")
            self.db.service("sweep")
            self.db.hurry()
            self.db.service("sweep")
            _work(self.db)
        assert self.db.rows(live) == []
        untold = self.db.rows(
            "select j.kind from memoria.jobs j join memoria.events e on e.id = j.event_id"
            " where j.kind <> 'callback' and j.status in ('completed', 'failed') and not exists ("
            "   select from memoria.jobs c where c.source_job_id = j.id"
            "   and c.status in ('completed', 'cancelled'))"
        )
        assert untold == []


def _work(db: Database) -> None:
    """Does everything that was handed out."""
    for kind in ("process", "cluster", "callback"):
        for job in db.dispatched(kind):
            claim = db.service.claim(job, kind=kind)
            if claim["outcome"] != "claimed":
                continue
            if kind == "process":
                db.service.complete(claim)
            elif kind == "cluster":
                _save(db, claim)
            else:
                db.service("complete_callback", job_id=claim["job_id"], token=claim["token"])


def _save(db: Database, claim: Json) -> None:
    result = {"total_faces": 0, "processing_time_seconds": 0, "groups": [], "changes": []}
    saved = db.service("save_people", job_id=claim["job_id"], token=claim["token"], result=result)
    assert saved["outcome"] == "stored"


def test_jobs_live_as_the_model_says_whatever_happens(db: Database) -> None:
    machine = type("Machine", (JobsMachine,), {"db": db})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # a history reads as fast as it shrinks
        ),
    )
