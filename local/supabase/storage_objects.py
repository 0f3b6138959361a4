"""The routes of objects: bytes in and out, what is known of them, and their end."""

from collections.abc import Callable

from flask import Blueprint, Response, jsonify, request

from local.supabase.buckets import Json
from local.supabase.objects import Objects
from local.supabase.rows import as_json
from local.supabase.storage_errors import StorageError, no_bucket
from local.supabase.storage_requests import json_body, send, upload_of_request

MOST_REMOVED = 1000  # objects in one request
Caller = Callable[[], Objects]


def add_objects(storage: Blueprint, caller: Caller, anybody: Callable[[], Objects]) -> None:
    """All of them. ``caller``: with the rights of who asks; ``anybody``: with nobody's."""
    _add_transfers(storage, caller, anybody)
    _add_lists(storage, caller)
    _add_removals(storage, caller)


def _add_transfers(storage: Blueprint, caller: Caller, anybody: Callable[[], Objects]) -> None:
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


def _add_lists(storage: Blueprint, caller: Caller) -> None:
    @storage.get("/object/info/<bucket>/<path:name>")
    @storage.get("/object/info/authenticated/<bucket>/<path:name>")
    def info(bucket: str, name: str) -> Response:
        return jsonify(as_json(_info(bucket, caller().find(bucket, name))))

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
        return jsonify([as_json(row) for row in caller().listed(bucket, body["prefix"], body)])


def _add_removals(storage: Blueprint, caller: Caller) -> None:
    @storage.delete("/object/<bucket>")
    def remove(bucket: str) -> Response:
        names = json_body().get("prefixes")
        if not isinstance(names, list) or not 1 <= len(names) <= MOST_REMOVED:
            message = f"body/prefixes must be an array of 1 to {MOST_REMOVED} items"
            raise StorageError(400, "Error", message, "InvalidRequest")
        return jsonify([as_json(row) for row in caller().remove(bucket, names)])

    @storage.delete("/object/<bucket>/<path:name>")
    def remove_one(bucket: str, name: str) -> Json:
        objects = caller()
        objects.find(bucket, name, asked=False)
        if not objects.remove(bucket, [name]):
            raise StorageError(403, "Unauthorized", "Access denied", "AccessDenied")
        return {"message": "Successfully deleted"}


def _info(bucket: str, row: Json) -> Json:
    about = row["metadata"]
    return {
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
