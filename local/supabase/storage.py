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
from local.supabase.session import settings_of
from local.supabase.storage_errors import StorageError, no_bucket
from local.supabase.storage_requests import json_body, send, shown, upload_of_request
from local.supabase.storage_signed import add_signed_urls

AS_THEY_ARE = ("429", "500", "544")  # every other status comes as 400
MOST_REMOVED = 1000  # objects in one request
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
    _add_objects(storage, caller, anybody)
    _add_errors(storage)
    return storage


def _add_buckets(storage: Blueprint, caller: Callable[[], Objects]) -> None:
    @storage.get("/bucket")
    def buckets() -> Response:
        return jsonify(shown(caller().buckets()))

    @storage.get("/bucket/<bucket>")
    def bucket(bucket: str) -> Response:
        for found in caller().buckets(bucket):
            return jsonify(shown([found])[0])
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


def _add_objects(
    storage: Blueprint, caller: Callable[[], Objects], anybody: Callable[[], Objects]
) -> None:
    @storage.route("/object/<bucket>/<path:name>", methods=["POST", "PUT"])
    def upload(bucket: str, name: str) -> Json:
        replace = request.method == "PUT" or request.headers.get("x-upsert") == "true"
        object_id = caller().save(bucket, name, upload_of_request(), replace=replace)
        return {"Key": f"{bucket}/{name}", "Id": object_id}

    @storage.get("/object/<bucket>/<path:name>")
    @storage.get("/object/authenticated/<bucket>/<path:name>")
    def download(bucket: str, name: str) -> Response:
        objects = caller()
        return send(objects, objects.find(bucket, name, asked=not objects.is_public(bucket)))

    @storage.get("/object/public/<bucket>/<path:name>")
    def download_public(bucket: str, name: str) -> Response:
        objects = anybody()
        if not objects.is_public(bucket):
            raise no_bucket()
        return send(objects, objects.find(bucket, name, asked=False))

    @storage.get("/object/info/<bucket>/<path:name>")
    @storage.get("/object/info/authenticated/<bucket>/<path:name>")
    def info(bucket: str, name: str) -> Response:
        row = caller().find(bucket, name)
        about = row["metadata"]
        told = {
            "id": row["id"],
            "name": row["name"],
            "version": row["version"],
            "bucket_id": bucket,
            "size": about["size"],
            "content_type": about["mimetype"],
            "cache_control": about["cacheControl"],
            "etag": about["eTag"],
            "metadata": row["user_metadata"],
            "last_modified": row["updated_at"],
            "created_at": row["created_at"],
        }
        return jsonify(shown([told])[0])

    @storage.post("/object/list/<bucket>")
    def listing(bucket: str) -> Response:
        body = json_body()
        if not isinstance(body.get("prefix"), str):
            message = "body must have required property 'prefix'"
            raise StorageError(400, "Error", message, "InvalidRequest")
        sort = body.get("sortBy") or {}
        if sort.get("order", "asc") not in ("asc", "desc"):
            message = "body/sortBy/order must be equal to one of the allowed values"
            raise StorageError(400, "Error", message, "InvalidRequest")
        return jsonify(shown(caller().listed(bucket, body["prefix"], body)))

    @storage.delete("/object/<bucket>")
    def remove(bucket: str) -> Response:
        names = json_body().get("prefixes")
        if not isinstance(names, list) or not 1 <= len(names) <= MOST_REMOVED:
            message = f"body/prefixes must be an array of 1 to {MOST_REMOVED} items"
            raise StorageError(400, "Error", message, "InvalidRequest")
        return jsonify(shown(caller().remove(bucket, names)))

    @storage.delete("/object/<bucket>/<path:name>")
    def remove_one(bucket: str, name: str) -> Json:
        objects = caller()
        objects.find(bucket, name, asked=False)
        if not objects.remove(bucket, [name]):
            raise StorageError(403, "Unauthorized", "Access denied", "AccessDenied")
        return {"message": "Successfully deleted"}


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
