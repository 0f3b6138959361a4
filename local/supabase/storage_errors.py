"""Why Storage refuses, in its own words, also where it was the database that refused."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


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


def duplicate(code: str) -> StorageError:
    return StorageError(409, "Duplicate", "The resource already exists", code)


_OUT_OF_SYNC = "The database schema is out of sync. Please run migrations or contact support."


@contextmanager
def translated() -> Iterator[None]:
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
        return duplicate("ResourceAlreadyExists")
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
