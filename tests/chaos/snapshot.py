"""What the database and the app hold in the end."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, TypeVar

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.rows import class_row

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Media:
    """A row of memoria.media."""

    id: str
    event_id: str
    status: str
    error_code: str | None
    faces_detected: int | None
    completed_at: datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class StoredFace:
    """A row of memoria.faces."""

    id: str
    media_id: str
    box: list[float]  # x y w h
    embedding: str | None
    person_id: str | None

    @property
    def vector(self) -> NDArray[np.float32]:
        """(512,), empty where the vector is lost."""
        return np.array((self.embedding or "[]")[1:-1].split(",") if self.embedding else [], "f4")


@dataclass(frozen=True, slots=True)
class Job:
    """A row of memoria.jobs, and when it was last handed out."""

    id: str
    kind: str
    event_id: str
    media_id: str | None
    source_job_id: str | None
    status: str
    tries: int
    error_code: str | None
    finished_at: datetime | None
    dispatched_at: datetime | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One run's outcome."""

    media: dict[str, Media]
    faces: dict[str, list[StoredFace]]  # by media item, left to right
    jobs: list[Job]
    clustered_at: dict[str, datetime | None]
    deliveries: dict[str, list[dict[str, Any]]]  # by the callback's job

    def ended(self, kind: str, event_id: str | None = None) -> list[Job]:
        """Jobs of a kind that were done, well or badly."""
        return [
            job
            for job in self.jobs
            if job.kind == kind
            and job.status in ("completed", "failed")
            and event_id in (None, job.event_id)
        ]


_FACES = """
    select id::text, media_id, array[x, y, w, h]::float8[] as box, embedding::text as embedding,
      person_id::text
    from memoria.faces order by media_id, x, y
"""
_JOBS = """
    select id::text, kind, event_id, media_id, source_job_id::text, status, tries, error_code,
      finished_at, (
        select max(created_at) from memoria.dispatches where job_id = jobs.id
      ) as dispatched_at
    from memoria.jobs
"""
_MEDIA = "select id, event_id, status, error_code, faces_detected, completed_at from memoria.media"


def take_snapshot(database_url: str, deliveries: dict[str, list[dict[str, Any]]]) -> Snapshot:
    """Read everything that the findings are about."""
    with psycopg.connect(database_url) as connection:
        faces: dict[str, list[StoredFace]] = {}
        for face in _rows(connection, StoredFace, _FACES):
            faces.setdefault(face.media_id, []).append(face)
        clustered = connection.execute("select id, clustered_at from memoria.events").fetchall()
        return Snapshot(
            media={item.id: item for item in _rows(connection, Media, _MEDIA)},
            faces=faces,
            jobs=_rows(connection, Job, _JOBS),
            clustered_at={str(event): at for event, at in clustered},
            deliveries=dict(deliveries),
        )


def _rows(connection: psycopg.Connection[Any], kind: type[Row], query: LiteralString) -> list[Row]:
    return connection.cursor(row_factory=class_row(kind)).execute(query).fetchall()
