"""Buckets and objects: rows under row-level security, and their bytes in files.

Every right is asked by doing the thing as the caller, as the real service does; what then has to be
done whoever asks is done as the owner of the tables.
"""

import hashlib
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from local.supabase.session import set_local

Json = dict[str, Any]
Pool = ConnectionPool[Connection[DictRow]]
SIZE_LIMIT = int(os.environ.get("LOCAL_SIZE_LIMIT", "52428800"))  # bytes; a new project's
_KEY = re.compile(r"[\w/!\-.*'() &$@=;:+,?]+", re.ASCII)  # storage-api's mustBeValidKey
_BUCKET = re.compile(r"[\w!\-.*'() &$@=;:+,?]{1,100}", re.ASCII)


class StorageError(Exception):
    """``{"statusCode", "error", "code", "message"}``."""

    def __init__(self, status: int, error: str, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.body = {"statusCode": str(status), "error": error, "code": code or error} | {
            "message": message
        }


def no_bucket() -> StorageError:
    """There is none of that name, as far as the caller is told."""
    return StorageError(404, "Bucket not found", "Bucket not found", "NoSuchBucket")


def no_object() -> StorageError:
    """Likewise."""
    return StorageError(404, "not_found", "Object not found", "NoSuchKey")


def _duplicate(code: str) -> StorageError:
    return StorageError(409, "Duplicate", "The resource already exists", code)


@dataclass(frozen=True, slots=True)
class Upload:
    """What comes in."""

    data: bytes
    mimetype: str
    cache_control: str = "no-cache"
    user_metadata: Json | None = None


class Objects:
    """For one caller: ``asker`` are the settings of their transactions, ``owner`` their id."""

    def __init__(self, pool: Pool, root: Path, asker: Mapping[str, str], owner: str | None) -> None:
        self._pool, self._root, self._asker, self._owner = pool, root, asker, owner

    @contextmanager
    def _as_caller(self, *, rehearsed: bool = False) -> Iterator[Connection[DictRow]]:
        """A transaction of the caller's; one that is rehearsed is undone."""
        with _translated(), self._pool.connection() as connection:
            set_local(connection, self._asker)
            with connection.transaction(force_rollback=rehearsed):
                yield connection

    @contextmanager
    def _as_owner(self) -> Iterator[Connection[DictRow]]:
        with _translated(), self._pool.connection() as connection:
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
                raise _duplicate("BucketAlreadyExists") from None
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

    def empty_bucket(self, name: str) -> None:
        """Remove all that the caller may remove."""
        with self._as_caller() as connection:
            named = connection.execute(
                "select name from storage.objects where bucket_id = %s", (name,)
            ).fetchall()
        self.remove(name, [row["name"] for row in named])

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

    def may_save(self, bucket: str, name: str, upload: Upload, *, replace: bool) -> None:
        """Rehearse it as the caller. Raises StorageError for who may not, and for a duplicate."""
        check_key(name)
        self._bucket(bucket)
        about = {"mimetype": upload.mimetype, "contentLength": len(upload.data)}
        row = self._row(bucket, name, "1", about, upload.user_metadata)
        try:
            with self._as_caller(rehearsed=True) as connection:
                connection.execute(_UPSERT if replace else _INSERT, row)
        except StorageError as error:
            if error.body["code"] == "ResourceAlreadyExists":
                raise _duplicate("KeyAlreadyExists") from None
            raise

    def save(self, bucket: str, name: str, upload: Upload, *, replace: bool) -> str:
        """Store the bytes under a name; its id. Raises StorageError."""
        limits = self._bucket(bucket)
        check_mimetype(upload.mimetype, limits["allowed_mime_types"] or [])
        if len(upload.data) > min(limits["file_size_limit"] or SIZE_LIMIT, SIZE_LIMIT):
            message = "The object exceeded the maximum allowed size"
            raise StorageError(413, "Payload too large", message, "EntityTooLarge")
        self.may_save(bucket, name, upload, replace=replace)
        return self._keep(bucket, name, upload)

    def save_signed(self, bucket: str, name: str, upload: Upload, *, replace: bool) -> str:
        """The same by a signed URL: who signed it was asked for the right then."""
        return Objects(self._pool, self._root, _OWNER, self._owner).save(
            bucket, name, upload, replace=replace
        )

    def _keep(self, bucket: str, name: str, upload: Upload) -> str:
        version = str(uuid.uuid4())
        file = self._file(version)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(upload.data)
        row = self._row(bucket, name, version, described(upload), upload.user_metadata)
        with self._as_owner() as connection:
            before = connection.execute(_LOCK, row).fetchone()
            kept = connection.execute(f"{_UPSERT} returning id", row).fetchone()
        if before:
            self._file(before["version"]).unlink(missing_ok=True)
        assert kept is not None
        return str(kept["id"])

    def _row(
        self, bucket: str, name: str, version: str, metadata: Json, user_metadata: Json | None
    ) -> Json:
        return {
            "bucket_id": bucket,
            "name": name,
            "version": version,
            "owner": self._owner if _is_uuid(self._owner) else None,
            "owner_id": self._owner,
            "metadata": Jsonb(metadata),
            "user_metadata": Jsonb(user_metadata) if user_metadata is not None else None,
        }

    def find(self, bucket: str, name: str, *, asked: bool = True) -> Json:
        """A row of storage.objects that the caller may see, or any. Raises StorageError."""
        check_key(name)
        self._bucket(bucket)
        with self._as_caller() if asked else self._as_owner() as connection:
            found = connection.execute(
                "select * from storage.objects where bucket_id = %s and name = %s", (bucket, name)
            ).fetchone()
        if found is None:
            raise no_object()
        return found

    def find_several(self, bucket: str, names: list[str]) -> set[str]:
        """Which of the names the caller may see."""
        with self._as_caller() as connection:
            rows = connection.execute(
                "select name from storage.objects where bucket_id = %s and name = any(%s)",
                (bucket, names),
            )
            return {row["name"] for row in rows}

    def file_of(self, row: Json) -> Path:
        """The file that holds its bytes."""
        return self._file(row["version"])

    def _file(self, version: str) -> Path:
        return self._root / version[:2] / version

    def remove(self, bucket: str, names: list[str]) -> list[Json]:
        """Delete what exists of the names and the caller may delete."""
        with self._as_caller() as connection:
            removed = connection.execute(
                "delete from storage.objects where bucket_id = %s and name = any(%s) returning *",
                (bucket, names),
            ).fetchall()
        for row in removed:
            self._file(row["version"]).unlink(missing_ok=True)
        return removed

    def listed(self, bucket: str, prefix: str, asked: Json) -> list[Json]:
        """One level below a folder; a folder is an entry without an id."""
        sort = asked.get("sortBy") or {}
        with self._as_caller() as connection:
            return connection.execute(
                "select * from storage.search(%s, %s, %s, 1, %s, %s, %s, %s)",
                (prefix if not prefix or prefix.endswith("/") else f"{prefix}/", bucket,
                 asked.get("limit") or 100, asked.get("offset") or 0, asked.get("search") or "",
                 sort.get("column") or "name", sort.get("order") or "asc"),
            ).fetchall()  # fmt: skip

    def move(self, bucket: str, name: str, to_bucket: str, to_name: str) -> Json:
        """Rename, into another bucket too. Raises StorageError."""
        check_key(to_name)
        self._bucket(to_bucket)
        row = self.find(bucket, name)
        moved = {"to_bucket": to_bucket, "to_name": to_name, "id": row["id"]}
        with self._as_caller() as connection:
            done = connection.execute(
                "update storage.objects set bucket_id = %(to_bucket)s, name = %(to_name)s,"
                " updated_at = now() where id = %(id)s",
                moved,
            )
        if not done.rowcount:
            raise no_object()
        return row | {"bucket_id": to_bucket, "name": to_name}

    def copy(self, bucket: str, name: str, to_bucket: str, to_name: str, *, replace: bool) -> str:
        """The id of the copy. Raises StorageError."""
        row = self.find(bucket, name)
        about = row["metadata"]
        data = self.file_of(row).read_bytes()
        upload = Upload(data, about["mimetype"], about["cacheControl"], row["user_metadata"])
        return self.save(to_bucket, to_name, upload, replace=replace)


_OUT_OF_SYNC = "The database schema is out of sync. Please run migrations or contact support."
_OWNER = {"role": "supabase_storage_admin"}
_INSERT = """
insert into storage.objects
  (bucket_id, name, version, owner, owner_id, metadata, user_metadata)
values
  (%(bucket_id)s, %(name)s, %(version)s, %(owner)s, %(owner_id)s, %(metadata)s, %(user_metadata)s)
"""
_UPSERT = f"""{_INSERT}
on conflict (bucket_id, name) do update set version = excluded.version, owner = excluded.owner,
  owner_id = excluded.owner_id, metadata = excluded.metadata,
  user_metadata = excluded.user_metadata, updated_at = now()
"""
_LOCK = """
select version from storage.objects where bucket_id = %(bucket_id)s and name = %(name)s for update
"""


def described(upload: Upload) -> Json:
    """``metadata`` of an object."""
    digest = hashlib.md5(upload.data, usedforsecurity=False).hexdigest()
    return {
        "eTag": f'"{digest}"',
        "size": len(upload.data),
        "mimetype": upload.mimetype,
        "cacheControl": upload.cache_control,
        "lastModified": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "contentLength": len(upload.data),
        "httpStatusCode": 200,
    }


def check_key(name: str) -> None:
    """Raises StorageError for a name outside storage's characters."""
    if not _KEY.fullmatch(name):
        raise StorageError(400, "InvalidKey", f"Invalid key: {name}")


def check_mimetype(mimetype: str, allowed: list[str]) -> None:
    """Raises StorageError for a type that the bucket does not take; no list takes every one."""
    kind, _, _ = mimetype.partition("/")
    if allowed and mimetype not in allowed and f"{kind}/*" not in allowed:
        message = f"mime type {mimetype} is not supported"
        raise StorageError(415, "invalid_mime_type", message, "InvalidMimeType")


def _bucket_columns(about: Json) -> Json:
    return {
        "public": bool(about.get("public")),
        "file_size_limit": about.get("file_size_limit"),
        "allowed_mime_types": about.get("allowed_mime_types"),
    }


def _is_uuid(text: str | None) -> bool:
    try:
        return bool(text and uuid.UUID(text))
    except ValueError:
        return False


@contextmanager
def _translated() -> Iterator[None]:
    """The database's refusals as Storage tells them."""
    try:
        yield
    except psycopg.Error as error:
        raise _from_postgres(error) from error


def _from_postgres(error: psycopg.Error) -> StorageError:
    message = error.diag.message_primary or str(error)
    if error.sqlstate == "42501" and "row-level security" in message:
        message = "new row violates row-level security policy"
    if error.sqlstate == "23505":
        return _duplicate("ResourceAlreadyExists")
    told: dict[str, tuple[int, str, str]] = {
        "42501": (403, "Unauthorized", message),
        "23503": (404, "InvalidRequest", "The related resource does not exist"),
        "57014": (544, "DatabaseTimeout", "The connection to the database timed out"),
        "22P02": (400, "InvalidParameter", message),
        "42703": (503, "DatabaseSchemaMismatch", _OUT_OF_SYNC),
        "42P01": (503, "DatabaseSchemaMismatch", _OUT_OF_SYNC),
    }
    unknown = (500, "DatabaseError", f"database error, code: {error.sqlstate}")
    status, name, text = told.get(error.sqlstate or "", unknown)
    return StorageError(status, name, text, "AccessDenied" if status == 403 else None)
