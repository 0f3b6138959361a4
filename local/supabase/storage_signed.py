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
_UNSEEN = "Either the object does not exist or you do not have access to it"


def add_signed_urls(
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
        return {"signedURL": signed(bucket, name, seconds_asked())}

    @storage.post("/object/sign/<bucket>")
    def sign_several(bucket: str) -> Response:
        names = json_body()["paths"]
        seen, seconds = caller().find_several(bucket, names), seconds_asked()
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
        return send(objects, objects.find(bucket, name, asked=False))

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
        anybody(claims["owner"]).save_signed(
            bucket, name, upload_of_request(), replace=claims["upsert"]
        )
        return {"Key": f"{bucket}/{name}"}
