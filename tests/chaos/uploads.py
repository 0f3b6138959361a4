"""The app: puts photos into storage, tells Memoria of them, deletes a few again."""

import psycopg

from local.processes.stack import Stack
from tests.chaos.photos import Photo

BUCKET = "photos"
_ENQUEUE = "select public.memoria_enqueue(%s, %s, %s, %s)"
_DELETE = "select public.memoria_delete_media(%s)"


class Uploads:
    """What is still to be uploaded; half of the events start later, late photos come last."""

    def __init__(self, stack: Stack, photos: list[Photo]) -> None:
        self._stack = stack
        self._waiting = list(photos)
        events = sorted({photo.event for photo in photos})
        self._first = frozenset(events[::2])
        self._expected = sum(not photo.deleted for photo in photos)
        self._store(photos)

    @property
    def finished(self) -> bool:
        """Whether everything was uploaded."""
        return not self._waiting

    def share(self, done: int) -> float:
        """How much of everything is done, 0..1."""
        return done / self._expected

    def follow(self, done: int, clustered: frozenset[str]) -> None:
        """Send what is due; a database that does not answer is asked again next time."""
        due = [photo for photo in self._waiting if self._due(photo, done, clustered)]
        if not due:
            return
        try:
            with psycopg.connect(self._stack.database_url) as connection:
                # one transaction: the burst of a bulk upload
                rows = [(photo.media_id, photo.event, BUCKET, photo.path) for photo in due]
                connection.cursor().executemany(_ENQUEUE, rows)
        except psycopg.Error:
            return
        self._waiting = [photo for photo in self._waiting if photo not in due]
        self._delete([photo for photo in due if photo.deleted])

    def _due(self, photo: Photo, done: int, clustered: frozenset[str]) -> bool:
        if photo.late:
            return photo.event in clustered
        return photo.event in self._first or self.share(done) >= 0.1

    def _delete(self, photos: list[Photo]) -> None:
        with psycopg.connect(self._stack.database_url, autocommit=True) as connection:
            for photo in photos:
                connection.execute(_DELETE, (photo.media_id,))

    def _store(self, photos: list[Photo]) -> None:
        storage = self._stack.client().storage
        storage.create_bucket(BUCKET)
        for photo in photos:
            if (data := photo.data()) is not None:
                storage.from_(BUCKET).upload(photo.path, data, {"content-type": "image/jpeg"})
