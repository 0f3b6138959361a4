"""The routes that sign URLs, and those that honour them."""

import time
from collections.abc import Callable
from typing import Any

import jwt
from flask import Blueprint, Response, jsonify, request

from local.supabase.buckets import Json
from local.supabase.keys import Keys, identify
from local.supabase.objects import Objects, Upload
from local.supabase.storage_errors import StorageError
from local.supabase.storage_requests import json_body, seconds_asked, send, upload_of_request

UPLOAD_SECONDS = 7200  # how long a signed upload URL is good
Caller = Callable[[], Objects]
Anybody = Callable[[str | None], Objects]
_UNSEEN = "Either the object does not exist or you do not have access to it"


class Signatures:
    """Tokens that open one object for one purpose, for a while."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def token(self, bucket: str, name: str, seconds: int, **claims: Any) -> str:
        """``claims``: of them ``scope``, download or upload."""
        now = int(time.time())
        about = {"url": f"{bucket}/{name}", "iat": now, "exp": now + seconds}
        return self._keys.sign(claims | about)

    def download_url(self, bucket: str, name: str, seconds: int) -> str:
        """Below ``/storage/v1``, not percent-encoded: clients do that."""
        token = self.token(bucket, name, seconds, scope="download")
        return f"/object/sign/{bucket}/{name}?token={token}"

    def check(self, bucket: str, name: str, scope: str) -> Json:
        """The claims of the request's token. Raises StorageError where it opens something else."""
        try:
            claims = self._keys.claims(request.args.get("token", ""))
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


def add_signed_urls(storage: Blueprint, keys: Keys, caller: Caller, anybody: Anybody) -> None:
    """All of them. ``caller``: with the rights of who asks; ``anybody``: as an owner, or nobody."""
    _add_downloads(storage, Signatures(keys), caller, anybody)
    _add_uploads(storage, Signatures(keys), keys, caller, anybody)


def _add_downloads(
    storage: Blueprint, signatures: Signatures, caller: Caller, anybody: Anybody
) -> None:
    @storage.post("/object/sign/<bucket>/<path:name>")
    def sign(bucket: str, name: str) -> Json:
        caller().find(bucket, name)
        return {"signedURL": signatures.download_url(bucket, name, seconds_asked())}

    @storage.post("/object/sign/<bucket>")
    def sign_several(bucket: str) -> Response:
        names = json_body()["paths"]
        if not names:
            message = "body/paths must NOT have fewer than 1 items"
            raise StorageError(400, "Error", message, "InvalidRequest")
        seen, seconds = caller().find_several(bucket, names), seconds_asked()
        signed = {name: signatures.download_url(bucket, name, seconds) for name in seen}
        errors = {name: None if name in seen else _UNSEEN for name in names}
        return jsonify([
            {"path": name, "signedURL": signed.get(name), "error": errors[name]} for name in names
        ])  # fmt: skip

    @storage.get("/object/sign/<bucket>/<path:name>")
    def download_signed(bucket: str, name: str) -> Response:
        signatures.check(bucket, name, "download")
        objects = anybody(None)
        return send(objects, objects.find(bucket, name, asked=False))


def _add_uploads(
    storage: Blueprint, signatures: Signatures, keys: Keys, caller: Caller, anybody: Anybody
) -> None:
    @storage.post("/object/upload/sign/<bucket>/<path:name>")
    def sign_upload(bucket: str, name: str) -> Json:
        replace = request.headers.get("x-upsert") == "true"
        objects = caller()
        empty = Upload(b"", request.mimetype or "application/octet-stream")
        objects.may_save(bucket, name, empty, replace=replace)
        owner = identify(request.headers, keys).get("sub")
        token = signatures.token(
            bucket, name, UPLOAD_SECONDS, owner=owner, upsert=replace, scope="upload"
        )
        return {"url": f"/object/upload/sign/{bucket}/{name}?token={token}", "token": token}

    @storage.put("/object/upload/sign/<bucket>/<path:name>")
    def upload_signed(bucket: str, name: str) -> Json:
        claims = signatures.check(bucket, name, "upload")
        anybody(claims["owner"]).save_signed(
            bucket, name, upload_of_request(), replace=claims["upsert"]
        )
        return {"Key": f"{bucket}/{name}"}
