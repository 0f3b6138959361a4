"""Buckets: rows under row-level security, for one caller."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg_pool import ConnectionPool

from local.supabase.session import set_local
from local.supabase.storage_errors import StorageError, duplicate, no_bucket, translated

Json = dict[str, Any]
Pool = ConnectionPool[Connection[DictRow]]
_BUCKET = re.compile(r"[\w!\-.*'() &$@=;:+,?]{1,100}", re.ASCII)


class Buckets:
    """For one caller: ``asker`` are the settings of their transactions, ``owner`` their id."""

    def __init__(self, pool: Pool, root: Path, asker: Mapping[str, str], owner: str | None) -> None:
        self._pool, self._root, self._asker, self._owner = pool, root, asker, owner

    @contextmanager
    def _as_caller(self, *, rehearsed: bool = False) -> Iterator[Connection[DictRow]]:
        """A transaction of the caller's; one that is rehearsed is undone."""
        with translated(), self._pool.connection() as connection:
            set_local(connection, self._asker)
            with connection.transaction(force_rollback=rehearsed):
                yield connection

    @contextmanager
    def _as_owner(self) -> Iterator[Connection[DictRow]]:
        with translated(), self._pool.connection() as connection:
            yield connection

    def create_bucket(self, name: str, about: Json) -> None:
        """Raises StorageError where it exists or the name will not do."""
        if not _BUCKET.fullmatch(name) or name.strip(" .") != name:
            raise StorageError(400, "Invalid Input", "Bucket name invalid", "InvalidBucketName")
        row = _bucket_columns(about) | {"id": name, "name": name, "owner_id": self._owner}
        try:
            with self._as_caller() as connection:
                connection.execute(
                    "insert into storage.buckets"
                    " (id, name, owner_id, public, file_size_limit, allowed_mime_types)"
                    " values (%(id)s, %(name)s, %(owner_id)s, %(public)s, %(file_size_limit)s,"
                    " %(allowed_mime_types)s)",
                    row,
                )
        except StorageError as error:
            if error.body["code"] == "ResourceAlreadyExists":
                raise duplicate("BucketAlreadyExists") from None
            raise

    def update_bucket(self, name: str, about: Json) -> None:
        """Raises StorageError where there is none."""
        with self._as_caller() as connection:
            done = connection.execute(
                "update storage.buckets set public = %(public)s, updated_at = now(),"
                " file_size_limit = %(file_size_limit)s,"
                " allowed_mime_types = %(allowed_mime_types)s where id = %(id)s",
                _bucket_columns(about) | {"id": name},
            )
        if not done.rowcount:
            raise no_bucket()

    def buckets(self, name: str | None = None) -> list[Json]:
        """Those that the caller may see."""
        with self._as_caller() as connection:
            return connection.execute(
                "select id, name, public, coalesce(owner_id, '') as owner, file_size_limit,"
                " allowed_mime_types, created_at, updated_at, 'STANDARD' as type"
                " from storage.buckets where %(name)s::text is null or id = %(name)s order by id",
                {"name": name},
            ).fetchall()

    def drop_bucket(self, name: str) -> None:
        """Raises StorageError for one that is not empty."""
        with self._as_owner() as connection:
            if connection.execute(
                "select from storage.objects where bucket_id = %s limit 1", (name,)
            ).fetchone() is not None:  # fmt: skip
                message = "The bucket you tried to delete is not empty"
                raise StorageError(409, "ResourceNotEmpty", message)
        with self._as_caller() as connection:
            done = connection.execute("delete from storage.buckets where id = %s", (name,))
        if not done.rowcount:
            raise no_bucket()

    def is_public(self, bucket: str) -> bool:
        """Whether anybody may download from it."""
        return bool(self._bucket(bucket)["public"])

    def _bucket(self, bucket: str) -> Json:
        """Whatever the caller may see. Raises StorageError where there is none."""
        with self._as_owner() as connection:
            found = connection.execute(
                "select * from storage.buckets where id = %s", (bucket,)
            ).fetchone()
        if found is None:
            raise no_bucket()
        return found


def _bucket_columns(about: Json) -> Json:
    return {
        "public": bool(about.get("public")),
        "file_size_limit": about.get("file_size_limit"),
        "allowed_mime_types": about.get("allowed_mime_types"),
    }
