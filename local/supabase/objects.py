"""Buckets and objects: rows under row-level security, and their bytes in files.

Every right is asked by doing the thing as the caller, as the real service does; what then has to be
done whoever asks is done as the owner of the tables.
"""

import hashlib
import os
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from psycopg.types.json import Jsonb

from local.supabase.buckets import Buckets, Json
from local.supabase.storage_errors import StorageError, duplicate, no_object

SIZE_LIMIT = int(os.environ.get("LOCAL_SIZE_LIMIT", "52428800"))  # bytes; a new project's
_KEY = re.compile(r"[\w/!\-.*'() &$@=;:+,?]+", re.ASCII)  # storage-api's mustBeValidKey


@dataclass(frozen=True, slots=True)
class Upload:
    """What comes in."""

    data: bytes
    mimetype: str
    cache_control: str = "no-cache"
    user_metadata: Json | None = None


class Objects(Buckets):
    """And what lies in them: every right is asked by doing the thing as the caller."""

    def empty_bucket(self, name: str) -> None:
        """Remove all that the caller may remove."""
        with self._as_caller() as connection:
            named = connection.execute(
                "select name from storage.objects where bucket_id = %s", (name,)
            ).fetchall()
        self.remove(name, [row["name"] for row in named])

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
                raise duplicate("KeyAlreadyExists") from None
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


def _is_uuid(text: str | None) -> bool:
    try:
        return bool(text and uuid.UUID(text))
    except ValueError:
        return False
