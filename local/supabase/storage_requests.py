"""What Storage reads from a request, and how it sends files."""

import json
from urllib.parse import quote

from flask import Response, request, send_file

from local.supabase.buckets import Json
from local.supabase.objects import Objects, Upload
from local.supabase.storage_errors import StorageError


def json_body() -> Json:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise StorageError(400, "Error", "body must be object", "InvalidRequest")
    return body


def seconds_asked() -> int:
    text = str(json_body().get("expiresIn"))  # storage3 sends a string, and the real one takes it
    if not text.isdecimal() or int(text) < 1:
        raise StorageError(400, "Error", "body/expiresIn must be >= 1", "InvalidRequest")
    return int(text)


def upload_of_request() -> Upload:
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


def send(objects: Objects, row: Json) -> Response:
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
