"""A stand-in for Supabase Storage: buckets, uploads under policies, lists, signed URLs that expire.

As the real one does, it answers nearly every error with HTTP 400 and puts the status that it
means into the body's ``statusCode``; 500, 544 and 429 come as they are. A test has it answer with
an outage by a PUT to ``/storage/v1/_outage``.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt
from flask import Blueprint, Response, jsonify, request, send_file

from local.supabase.keys import IdentityError, Keys, TokenError, identify
from local.supabase.objects import Json, Objects, Pool, StorageError, Upload, no_bucket
from local.supabase.session import settings_of

AS_THEY_ARE = ("429", "500", "544")  # every other status comes as 400
MOST_REMOVED = 1000  # objects in one request
UPLOAD_SECONDS = 7200  # how long a signed upload URL is good
OUTAGES = {
    "DatabaseSchemaMismatch": (503, "The database schema is not up to date"),
    "DatabaseTimeout": (544, "The connection to the database timed out"),
    "TooManyConnections": (429, "Too many connections issued to the database"),
    "InternalError": (500, "Internal Server Error"),
}
_NOBODY = {"role": "anon"}
_UNSEEN = "Either the object does not exist or you do not have access to it"


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
    _add_signed_urls(storage, keys, caller, anybody)
    _add_moves(storage, caller)
    _add_objects(storage, caller, anybody)
    _add_errors(storage)
    return storage


def _add_buckets(storage: Blueprint, caller: Callable[[], Objects]) -> None:
    @storage.get("/bucket")
    def buckets() -> Response:
        return jsonify(_shown(caller().buckets()))

    @storage.get("/bucket/<bucket>")
    def bucket(bucket: str) -> Response:
        for found in caller().buckets(bucket):
            return jsonify(_shown([found])[0])
        raise no_bucket()

    @storage.post("/bucket")
    def create_bucket() -> Json:
        body = _body()
        name = str(body.get("id") or body.get("name") or "")
        caller().create_bucket(name, body)
        return {"name": name}

    @storage.put("/bucket/<bucket>")
    def update_bucket(bucket: str) -> Json:
        caller().update_bucket(bucket, _body())
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
        object_id = caller().save(bucket, name, _upload(), replace=replace)
        return {"Key": f"{bucket}/{name}", "Id": object_id}

    @storage.get("/object/<bucket>/<path:name>")
    @storage.get("/object/authenticated/<bucket>/<path:name>")
    def download(bucket: str, name: str) -> Response:
        objects = caller()
        return _send(objects, objects.find(bucket, name, asked=not objects.is_public(bucket)))

    @storage.get("/object/public/<bucket>/<path:name>")
    def download_public(bucket: str, name: str) -> Response:
        objects = anybody()
        if not objects.is_public(bucket):
            raise no_bucket()
        return _send(objects, objects.find(bucket, name, asked=False))

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
        return jsonify(_shown([told])[0])

    @storage.post("/object/list/<bucket>")
    def listing(bucket: str) -> Response:
        body = _body()
        if not isinstance(body.get("prefix"), str):
            message = "body must have required property 'prefix'"
            raise StorageError(400, "Error", message, "InvalidRequest")
        sort = body.get("sortBy") or {}
        if sort.get("order", "asc") not in ("asc", "desc"):
            message = "body/sortBy/order must be equal to one of the allowed values"
            raise StorageError(400, "Error", message, "InvalidRequest")
        return jsonify(_shown(caller().listed(bucket, body["prefix"], body)))

    @storage.delete("/object/<bucket>")
    def remove(bucket: str) -> Response:
        names = _body().get("prefixes")
        if not isinstance(names, list) or not 1 <= len(names) <= MOST_REMOVED:
            message = f"body/prefixes must be an array of 1 to {MOST_REMOVED} items"
            raise StorageError(400, "Error", message, "InvalidRequest")
        return jsonify(_shown(caller().remove(bucket, names)))

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
        row = caller().move(*places(_body()))
        return {"message": "Successfully moved", "Id": str(row["id"]), "Key": row["name"]}

    @storage.post("/object/copy")
    def copy() -> Json:
        body = _body()
        replace = request.headers.get("x-upsert") == "true"
        object_id = caller().copy(*places(body), replace=replace)
        _, _, bucket, name = places(body)
        return {"Id": object_id, "Key": f"{bucket}/{name}"}


def _add_signed_urls(
    storage: Blueprint,
    keys: Keys,
    caller: Callable[[], Objects],
    anybody: Callable[[str | None], Objects],
) -> None:
    """The routes that sign URLs, and those that honour them."""

    def token_for(bucket: str, name: str, seconds: int, **claims: Any) -> str:
        now = int(time.time())
        return keys.sign(claims | {"url": f"{bucket}/{name}", "iat": now, "exp": now + seconds})

    def signed(bucket: str, name: str, seconds: int) -> str:
        token = token_for(bucket, name, seconds, scope="download")
        return f"/object/sign/{bucket}/{name}?token={token}"  # clients encode it

    def honoured(bucket: str, name: str, scope: str) -> Json:
        try:
            claims = keys.claims(request.args.get("token", ""))
        except jwt.ExpiredSignatureError:
            message = '"exp" claim timestamp check failed'
            raise StorageError(400, "InvalidJWT", message) from None
        except jwt.InvalidTokenError as exc:
            raise StorageError(400, "InvalidJWT", str(exc)) from None
        if claims.get("scope") != scope:
            raise StorageError(400, "InvalidSignature", f"Token is not scoped for {scope}")
        if claims.get("url") != f"{bucket}/{name}":
            raise StorageError(400, "InvalidSignature", "Invalid signature")
        return claims

    @storage.post("/object/sign/<bucket>/<path:name>")
    def sign(bucket: str, name: str) -> Json:
        caller().find(bucket, name)
        return {"signedURL": signed(bucket, name, _seconds())}

    @storage.post("/object/sign/<bucket>")
    def sign_several(bucket: str) -> Response:
        names = _body()["paths"]
        seen, seconds = caller().find_several(bucket, names), _seconds()
        return jsonify([
            {"path": name, "signedURL": signed(bucket, name, seconds), "error": None}
            if name in seen
            else {"path": name, "signedURL": None, "error": _UNSEEN}
            for name in names
        ])  # fmt: skip

    @storage.get("/object/sign/<bucket>/<path:name>")
    def download_signed(bucket: str, name: str) -> Response:
        honoured(bucket, name, "download")
        objects = anybody(None)
        return _send(objects, objects.find(bucket, name, asked=False))

    @storage.post("/object/upload/sign/<bucket>/<path:name>")
    def sign_upload(bucket: str, name: str) -> Json:
        replace = request.headers.get("x-upsert") == "true"
        objects = caller()
        empty = Upload(b"", request.mimetype or "application/octet-stream")
        objects.may_save(bucket, name, empty, replace=replace)
        owner = identify(request.headers, keys).get("sub")
        token = token_for(bucket, name, UPLOAD_SECONDS, owner=owner, upsert=replace, scope="upload")
        return {"url": f"/object/upload/sign/{bucket}/{name}?token={token}", "token": token}

    @storage.put("/object/upload/sign/<bucket>/<path:name>")
    def upload_signed(bucket: str, name: str) -> Json:
        claims = honoured(bucket, name, "upload")
        anybody(claims["owner"]).save_signed(bucket, name, _upload(), replace=claims["upsert"])
        return {"Key": f"{bucket}/{name}"}


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


def _body() -> Json:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise StorageError(400, "Error", "body must be object", "InvalidRequest")
    return body


def _seconds() -> int:
    text = str(_body().get("expiresIn"))  # storage3 sends a string, and the real one takes it
    if not text.isdecimal() or int(text) < 1:
        raise StorageError(400, "Error", "body/expiresIn must be >= 1", "InvalidRequest")
    return int(text)


def _upload() -> Upload:
    """A form with one file, as storage3 and storage-js send it, or the bytes alone."""
    part = next(iter(request.files.values()), None)
    if part is None:
        mimetype = request.headers.get("content-type") or "application/octet-stream"
        cached = request.headers.get("cache-control") or "no-cache"
        return Upload(request.get_data(), mimetype, cached)
    told, seconds = request.form.get("metadata"), request.form.get("cacheControl")
    return Upload(
        part.read(),
        request.form.get("contentType") or part.mimetype or "application/octet-stream",
        f"max-age={seconds}" if seconds else "no-cache",
        json.loads(told) if told else None,
    )


def _shown(rows: list[Json]) -> list[Json]:
    """Rows as JSON shows them."""
    kept = (str, int, list, dict, type(None))
    return [
        {name: value if isinstance(value, kept) else _text(value) for name, value in row.items()}
        for row in rows
    ]


def _text(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _send(objects: Objects, row: Json) -> Response:
    about, file = row["metadata"], objects.file_of(row)
    if not file.exists():
        raise StorageError(404, "Not found", "The resource was not found", "NoSuchKey")
    response = send_file(
        file,
        mimetype=about["mimetype"],
        last_modified=row["updated_at"],
        etag=about["eTag"].strip('"'),
    )
    response.headers["Cache-Control"] = about["cacheControl"]
    response.headers["X-Robots-Tag"] = "none"
    is_page = about["mimetype"].startswith(
        "text/html"
    )  # nobody's scripts run on the project's host
    response.headers["Content-Type"] = "text/plain" if is_page else about["mimetype"]
    if (name := request.args.get("download")) is not None:
        named = f" filename={quote(name)}; filename*=UTF-8''{quote(name)}" if name else ""
        response.headers["Content-Disposition"] = f"attachment;{named}"
    return response
