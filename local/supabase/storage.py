"""A stand-in for Supabase Storage: buckets, upload, download, signed URLs that expire.

As the real one does, it answers nearly every error with HTTP 400 and puts the status that it
means into the body's ``statusCode``; 500, 544 and 429 come as they are. There are no policies: only
the service role gets in. A test has it answer with an outage by a PUT to ``/storage/v1/_outage``.
"""

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt
from flask import Blueprint, Response, request, send_file

from local.supabase.keys import IdentityError, Keys, identify

PUBLIC = "public"  # the file that marks a public bucket; objects are named by hashes


AS_THEY_ARE = ("429", "500", "544")  # every other status comes as 400
_KEY = re.compile(r"[\w/!\-.*'() &$@=;:+,?]+", re.ASCII)  # storage-api's mustBeValidKey


class StorageError(Exception):
    """``{"statusCode", "error", "code", "message"}``."""

    def __init__(self, status: int, error: str, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.body = {"statusCode": str(status), "error": error, "code": code or error} | {
            "message": message
        }


OUTAGES = {
    "DatabaseSchemaMismatch": (503, "The database schema is not up to date"),
    "DatabaseTimeout": (544, "The connection to the database timed out"),
    "TooManyConnections": (429, "Too many connections issued to the database"),
    "InternalError": (500, "Internal Server Error"),
}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What is known of one object beside its bytes."""

    name: str
    mimetype: str
    size: int
    updated_at: float  # seconds since the epoch


class Shelf:
    """Objects in a folder: a folder per bucket, two files per object, named by the key's hash."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create_bucket(self, bucket: str, *, public: bool = False) -> None:
        """Raises StorageError where it exists or the name could not be a folder's."""
        if not bucket or bucket.startswith(".") or "/" in bucket:
            raise StorageError(400, "Invalid Input", "Bucket name invalid", "InvalidBucketName")
        try:
            (self._root / bucket).mkdir(parents=True)
        except FileExistsError:
            raise _duplicate("BucketAlreadyExists") from None
        if public:
            (self._root / bucket / PUBLIC).touch()

    def is_public(self, bucket: str) -> bool:
        """Whether anybody may download from it."""
        return not bucket.startswith(".") and (self._root / bucket / PUBLIC).exists()

    def _files(self, bucket: str, name: str) -> tuple[Path, Path]:
        folder = self._root / bucket
        if bucket.startswith(".") or not folder.is_dir():
            raise StorageError(404, "Bucket not found", "Bucket not found", "NoSuchBucket")
        if not _KEY.fullmatch(name):
            raise StorageError(400, "InvalidKey", f"Invalid key: {name}")
        digest = hashlib.sha256(name.encode()).hexdigest()
        return folder / digest, folder / f"{digest}.json"

    def save(self, bucket: str, name: str, data: bytes, mimetype: str, *, replace: bool) -> None:
        """Store the bytes under a name. Raises StorageError for a duplicate."""
        content, about = self._files(bucket, name)
        if about.exists() and not replace:
            raise _duplicate("KeyAlreadyExists")
        content.write_bytes(data)
        about.write_text(json.dumps(asdict(StoredObject(name, mimetype, len(data), time.time()))))

    def find(self, bucket: str, name: str) -> tuple[Path, StoredObject]:
        """The file that holds the bytes, and what is known of them. Raises StorageError."""
        content, about = self._files(bucket, name)
        try:
            return content, StoredObject(**json.loads(about.read_text()))
        except FileNotFoundError:
            raise StorageError(404, "not_found", "Object not found", "NoSuchKey") from None

    def remove(self, bucket: str, names: list[str]) -> list[StoredObject]:
        """Delete what exists of the names."""
        removed = []
        for name in names:
            try:
                _, stored = self.find(bucket, name)
            except StorageError:
                continue
            for path in self._files(bucket, name):
                path.unlink(missing_ok=True)
            removed.append(stored)
        return removed

    def empty(self) -> None:
        """Forget everything."""
        shutil.rmtree(self._root, ignore_errors=True)


def _duplicate(code: str) -> StorageError:
    return StorageError(409, "Duplicate", "The resource already exists", code)


def storage_blueprint(shelf: Shelf, keys: Keys) -> Blueprint:
    """The routes that storage3 and the functions use."""
    storage = Blueprint("storage", __name__, url_prefix="/storage/v1")
    add_outages(storage)

    def only_service_role() -> None:
        if identify(request.headers, keys)["role"] != "service_role":
            message = "new row violates row-level security policy"
            raise StorageError(403, "Unauthorized", message, "AccessDenied")

    @storage.post("/bucket")
    def create_bucket() -> dict[str, str]:
        only_service_role()
        body = request.get_json()
        shelf.create_bucket(str(body["id"]), public=bool(body.get("public")))
        return {"name": str(body["id"])}

    @storage.route("/object/<bucket>/<path:name>", methods=["POST", "PUT"])
    def upload(bucket: str, name: str) -> dict[str, str]:
        only_service_role()
        part = next(iter(request.files.values()), None)
        data = part.read() if part else request.get_data()
        mimetype = (part.mimetype if part else request.mimetype) or "application/octet-stream"
        replace = request.method == "PUT" or request.headers.get("x-upsert") == "true"
        shelf.save(bucket, name, data, mimetype, replace=replace)
        return {"Key": f"{bucket}/{name}", "Id": hashlib.sha256(name.encode()).hexdigest()}

    @storage.get("/object/<bucket>/<path:name>")
    @storage.get("/object/authenticated/<bucket>/<path:name>")
    def download(bucket: str, name: str) -> Response:
        only_service_role()
        return _send(*shelf.find(bucket, name))

    @storage.get("/object/public/<bucket>/<path:name>")
    def download_public(bucket: str, name: str) -> Response:
        if not shelf.is_public(bucket):
            raise StorageError(404, "Bucket not found", "Bucket not found", "NoSuchBucket")
        return _send(*shelf.find(bucket, name))

    @storage.get("/object/info/<bucket>/<path:name>")
    def info(bucket: str, name: str) -> dict[str, Any]:
        only_service_role()
        _, stored = shelf.find(bucket, name)
        return asdict(stored) | {"bucket_id": bucket, "content_type": stored.mimetype}

    add_signed_urls(storage, shelf, keys, only_service_role)

    @storage.delete("/object/<bucket>")
    def remove(bucket: str) -> list[dict[str, Any]]:
        only_service_role()
        return [asdict(stored) for stored in shelf.remove(bucket, request.get_json()["prefixes"])]

    @storage.errorhandler(StorageError)
    def refuse(error: StorageError) -> tuple[dict[str, str], int]:
        status = error.body["statusCode"]
        return error.body, int(status) if status in AS_THEY_ARE else 400

    @storage.errorhandler(IdentityError)
    def refuse_key(error: IdentityError) -> tuple[dict[str, Any], int]:
        return error.body, 401

    return storage


def add_signed_urls(
    storage: Blueprint, shelf: Shelf, keys: Keys, only_service_role: Callable[[], None]
) -> None:
    """The routes that sign URLs, and the one that honours them."""

    def signed(bucket: str, name: str) -> str:
        shelf.find(bucket, name)
        now = int(time.time())
        seconds = int(request.get_json()["expiresIn"])
        payload = {"url": f"{bucket}/{name}", "iat": now, "exp": now + seconds}
        token = jwt.encode(payload, keys.jwt_secret, algorithm="HS256")
        return f"/object/sign/{quote(bucket)}/{quote(name)}?token={token}"

    @storage.post("/object/sign/<bucket>/<path:name>")
    def sign(bucket: str, name: str) -> dict[str, str]:
        only_service_role()
        return {"signedURL": signed(bucket, name)}

    @storage.post("/object/sign/<bucket>")
    def sign_several(bucket: str) -> list[dict[str, str | None]]:
        only_service_role()
        answers: list[dict[str, str | None]] = []
        for name in request.get_json()["paths"]:
            try:
                answers.append({"path": name, "signedURL": signed(bucket, name), "error": None})
            except StorageError:
                problem = "Either the object does not exist or you do not have access to it"
                answers.append({"path": name, "signedURL": None, "error": problem})
        return answers

    @storage.get("/object/sign/<bucket>/<path:name>")
    def download_signed(bucket: str, name: str) -> Response:
        try:
            claims = jwt.decode(
                request.args.get("token", ""), keys.jwt_secret, algorithms=["HS256"]
            )
        except jwt.ExpiredSignatureError:
            message = '"exp" claim timestamp check failed'
            raise StorageError(400, "InvalidJWT", message) from None
        except jwt.InvalidTokenError as exc:
            raise StorageError(400, "InvalidJWT", str(exc)) from None
        if claims.get("url") != f"{bucket}/{name}":
            message = "The url do not match the signature"
            raise StorageError(400, "InvalidSignature", message)
        return _send(*shelf.find(bucket, name))


def add_outages(storage: Blueprint) -> None:
    """The route by which a test has every other one answer with an outage."""
    outage: list[StorageError] = []

    @storage.before_request
    def break_down() -> None:
        if outage and request.method != "PUT":
            raise outage[0]

    @storage.put("/_outage")
    def begin_or_end_outage() -> dict[str, Any]:
        name = request.get_json()["error"]
        outage[:] = [StorageError(OUTAGES[name][0], name, OUTAGES[name][1])] if name else []
        return {"error": name}


def _send(content: Path, stored: StoredObject) -> Response:
    response = send_file(content, mimetype=stored.mimetype, last_modified=stored.updated_at)
    response.headers["Cache-Control"] = "no-cache"
    return response
