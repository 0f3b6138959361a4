"""A project for tests: supabase-py over the PostgREST stand-in, on a real database."""

from collections.abc import Sequence
from typing import Any, Self
from uuid import UUID

import httpx
import numpy as np
import psycopg
from flask import Flask
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool
from supabase import Client, ClientOptions

from local.supabase.keys import Keys
from local.supabase.rest import rest_blueprint
from memoria.arrays import F32
from memoria.people import types as people
from memoria.people.regroup import regroup
from memoria.people.suggestions import suggestions
from memoria.store.client import rpc
from memoria.store.jobs import Claim, JobStore, Stored, vector_text
from memoria.store.people import load_event, load_people, save_people

KEYS = Keys("sb_secret_test", "sb_publishable_test", "a-secret-of-at-least-32-characters-")
URL = "http://project.test"
Box = tuple[float, float, float, float]


class Project:
    """``service`` is the worker's client; ``user(id)`` is an app user's."""

    def __init__(self, database_url: str) -> None:
        self._pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            database_url.replace("//postgres@", "//authenticator@"), min_size=1, open=True
        )
        app = Flask("rest")
        app.register_blueprint(rest_blueprint(self._pool, KEYS))
        self._http = httpx.Client(transport=httpx.WSGITransport(app=app))
        self.service = Client(URL, KEYS.secret, ClientOptions(httpx_client=self._http))
        self.jobs = JobStore(self.service)
        self.sql = psycopg.connect(database_url, autocommit=True, row_factory=dict_row)
        most = {"process": 1000, "cluster": 1000}
        self.call(
            "configure",
            settings={"quiet_period_seconds": 0, "callbacks": False, "max_in_flight": most},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sql.close()
        self._http.close()
        self._pool.close()

    def user(self, user_id: UUID) -> Client:
        """A signed-in app user."""
        options = ClientOptions(
            httpx_client=httpx.Client(transport=self._http._transport),
            headers={"Authorization": f"Bearer {KEYS.user_token(str(user_id))}"},
        )
        return Client(URL, KEYS.publishable, options)

    def call(self, function: str, **arguments: Any) -> Any:
        """An SQL function as the service role."""
        named = {f"p_{name}": _plain(value) for name, value in arguments.items()}
        return rpc(self.service, f"memoria_{function}", named, retries=0)

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """What is in the tables."""
        return self.sql.execute(query, values).fetchall()

    def process(
        self,
        event: str,
        photo: str,
        faces: Sequence[tuple[Box, F32]],
        model: str = "small",
        *,
        drawn: F32 | None = None,
        digest: str | None = None,
    ) -> list[UUID | None]:
        """A photo that shows these faces, uploaded or looked at again: what *process* does.

        ``drawn``: what it reads in boxes that users drew, if anything.
        """
        self.call("enqueue", media_id=photo, event_id=event, bucket="photos", path=photo)
        if not (waiting := self._waiting("process", photo)):
            self.sql.execute("select memoria.queue_media(%s, %s)", (event, [photo]))
            waiting = self._waiting("process", photo)
        claim = self.jobs.claim("process", waiting[0], event, photo)
        assert isinstance(claim, Claim), claim
        found = [_found(box, vector) for box, vector in faces]
        read = [
            {"face_id": face, "embedding": None}
            if drawn is None
            else {"face_id": face} | _found(box, drawn)
            for face, box in claim.drawn.items()
        ]
        result = {"model": model, "width": 100, "height": 100, "faces": found, "drawn": read}
        result |= {"digest": digest} if digest else {}
        stored = self.call("complete_media", job_id=claim.job_id, token=claim.token, result=result)
        return [UUID(face) if face else None for face in stored["face_ids"]]

    def claim_run(self, event: str) -> Claim:
        """The event's cluster job, asked for if none waits."""
        if not self._waiting("cluster", event):
            self.call("recluster", event_id=event)
        claim = self.jobs.claim("cluster", self._waiting("cluster", event)[0], event)
        assert isinstance(claim, Claim), claim
        return claim

    def group(self, event: str, **parameters: Any) -> people.PeopleResult:
        """Load and group, as *cluster* does."""
        defaults = {"min_cluster_size": 3, "min_samples": 2, "epsilon": 0.4}
        faces, known = load_event(self.service, event)
        return regroup(faces, known, event_id=event, **defaults | parameters)

    def save(self, claim: Claim, result: people.PeopleResult) -> dict[str, Any]:
        """Write a run back; told as the database tells it."""
        asked = suggestions(result, load_people(self.service, claim.event_id))
        ended = save_people(self.service, claim, result, asked, 0.1)
        if isinstance(ended, Stored):
            return {"outcome": ended.outcome, **ended.answer}
        return {"outcome": ended.outcome, "reason": ended.reason}

    def cluster(self, event: str, **parameters: Any) -> people.PeopleResult:
        """A whole run."""
        claim = self.claim_run(event)
        result = self.group(event, **parameters)
        assert self.save(claim, result)["outcome"] == "stored"
        return result

    def person_of(self, event: str) -> dict[UUID, UUID | None]:
        """Face -> the person that people see."""
        found = self.rows("select id, person_id from memoria.faces where event_id = %s", event)
        return {row["id"]: row["person_id"] for row in found}

    def _waiting(self, kind: str, of: str) -> list[str]:
        column = "media_id" if kind == "process" else "event_id"
        found = self.rows(
            f"select id from memoria.jobs where kind = %s and {column} = %s"
            " and status in ('queued', 'dispatched')",
            kind,
            of,
        )
        return [str(row["id"]) for row in found]


def _found(box: Sequence[float] | F32, vector: F32) -> dict[str, Any]:
    return {
        "bbox": {side: float(at) for side, at in zip("xywh", box, strict=True)},
        "landmarks": [0.5] * 10,
        "score": 0.9,
        "quality_score": 0.8,
        "embedding": vector_text(vector),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value


def likeness(centre: F32, similarity: float, rng: np.random.Generator) -> F32:
    """A unit vector at this cosine similarity to a unit vector, in a random direction."""
    noise = rng.standard_normal(len(centre))
    noise -= (noise @ centre) * centre
    noise /= np.linalg.norm(noise)
    mixed = similarity * centre + np.sqrt(1 - similarity**2) * noise
    unit: F32 = (mixed / np.linalg.norm(mixed)).astype(np.float32)
    return unit
