"""A stand-in for Supabase Storage: buckets, uploads under policies, lists, signed URLs that expire.

As the real one does, it answers nearly every error with HTTP 400 and puts the status that it
means into the body's ``statusCode``; 500, 544 and 429 come as they are. A test has it answer with
an outage by a PUT to ``/storage/v1/_outage``.
"""

from collections.abc import Callable
from pathlib import Path

from flask import Blueprint, Response, jsonify, request

from local.supabase.buckets import Json, Pool
from local.supabase.keys import IdentityError, Keys, TokenError, identify
from local.supabase.objects import Objects
from local.supabase.rows import as_json
from local.supabase.session import settings_of
from local.supabase.storage_errors import StorageError, no_bucket
from local.supabase.storage_objects import add_objects
from local.supabase.storage_requests import json_body
from local.supabase.storage_signed import add_signed_urls

AS_THEY_ARE = ("429", "500", "544")  # every other status comes as 400
OUTAGES = {
    "DatabaseSchemaMismatch": (503, "The database schema is not up to date"),
    "DatabaseTimeout": (544, "The connection to the database timed out"),
    "TooManyConnections": (429, "Too many connections issued to the database"),
    "InternalError": (500, "Internal Server Error"),
}
_NOBODY = {"role": "anon"}


def storage_blueprint(pool: Pool, root: Path, keys: Keys) -> Blueprint:
    """The routes that storage3, storage-js and the functions use; bytes lie below ``root``.

    The pool's user is ``supabase_storage_admin``.
    """
    storage = Blueprint("storage", __name__, url_prefix="/storage/v1")

    def caller() -> Objects:
        claims = identify(request.headers, keys)
        asker = settings_of(claims, request.headers) | {"request.method": request.method}
        return Objects(pool, root, asker, claims.get("sub"))

    def anybody(owner: str | None = None) -> Objects:
        return Objects(pool, root, _NOBODY, owner)

    _add_outages(storage)
    _add_buckets(storage, caller)
    add_signed_urls(storage, keys, caller, anybody)
    _add_moves(storage, caller)
    add_objects(storage, caller, anybody)
    _add_errors(storage)
    return storage


def _add_buckets(storage: Blueprint, caller: Callable[[], Objects]) -> None:
    @storage.get("/bucket")
    def buckets() -> Response:
        return jsonify([as_json(found) for found in caller().buckets()])

    @storage.get("/bucket/<bucket>")
    def bucket(bucket: str) -> Response:
        for found in caller().buckets(bucket):
            return jsonify(as_json(found))
        raise no_bucket()

    @storage.post("/bucket")
    def create_bucket() -> Json:
        body = json_body()
        name = str(body.get("id") or body.get("name") or "")
        caller().create_bucket(name, body)
        return {"name": name}

    @storage.put("/bucket/<bucket>")
    def update_bucket(bucket: str) -> Json:
        caller().update_bucket(bucket, json_body())
        return {"message": "Successfully updated"}

    @storage.delete("/bucket/<bucket>")
    def drop_bucket(bucket: str) -> Json:
        caller().drop_bucket(bucket)
        return {"message": "Successfully deleted"}

    @storage.post("/bucket/<bucket>/empty")
    def empty_bucket(bucket: str) -> Json:
        caller().empty_bucket(bucket)
        return {"message": "Empty bucket has been queued. Completion may take up to an hour."}


def _add_moves(storage: Blueprint, caller: Callable[[], Objects]) -> None:
    def places(body: Json) -> tuple[str, str, str, str]:
        target = body.get("destinationBucket") or body["bucketId"]
        return body["bucketId"], body["sourceKey"], target, body["destinationKey"]

    @storage.post("/object/move")
    def move() -> Json:
        row = caller().move(*places(json_body()))
        return {"message": "Successfully moved", "Id": str(row["id"]), "Key": row["name"]}

    @storage.post("/object/copy")
    def copy() -> Json:
        body = json_body()
        replace = request.headers.get("x-upsert") == "true"
        object_id = caller().copy(*places(body), replace=replace)
        _, _, bucket, name = places(body)
        return {"Id": object_id, "Key": f"{bucket}/{name}"}


def _add_errors(storage: Blueprint) -> None:
    @storage.errorhandler(StorageError)
    def refuse(error: StorageError) -> tuple[dict[str, str], int]:
        status = error.body["statusCode"]
        return error.body, int(status) if status in AS_THEY_ARE else 400

    @storage.errorhandler(TokenError)
    def refuse_token(error: TokenError) -> tuple[dict[str, str], int]:
        expired = error.body["code"] == "PGRST303"
        message = '"exp" claim timestamp check failed' if expired else "Invalid Compact JWS"
        return refuse(StorageError(403, "Unauthorized", message, "AccessDenied"))

    @storage.errorhandler(IdentityError)
    def refuse_key(error: IdentityError) -> tuple[Json, int]:
        return error.body, 401


def _add_outages(storage: Blueprint) -> None:
    """The route by which a test has every other one answer with an outage."""
    outage: list[StorageError] = []

    @storage.before_request
    def break_down() -> None:
        if outage and request.endpoint != "storage.begin_or_end_outage":
            raise outage[0]

    @storage.put("/_outage")
    def begin_or_end_outage() -> Json:
        name = request.get_json()["error"]
        outage[:] = [StorageError(OUTAGES[name][0], name, OUTAGES[name][1])] if name else []
        return {"error": name}
