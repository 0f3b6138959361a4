"""Serves ``examples/`` and ``clients/`` with the headers that an app of one's own should send, too.

``gunicorn "local.processes.pages:create_app()"``. A page learns where its project is from the
module ``/config.js``, and may talk to nobody else.
"""

import json
import os
from pathlib import Path

from flask import Flask, Response, abort, redirect, send_from_directory
from werkzeug.security import safe_join
from werkzeug.wrappers import Response as AnyResponse

_ROOT = Path(__file__).parents[2]
START = "/gallery/"


def create_app(root: Path = _ROOT) -> Flask:
    """``LOCAL_PAGES_CONFIG`` is what ``/config.js`` exports, as JSON; its URLs may be talked to."""
    config: dict[str, str] = json.loads(os.environ["LOCAL_PAGES_CONFIG"])
    origins = [value for name, value in config.items() if name.endswith("Url")]
    headers = _headers(sorted(set(origins)), storage=config["supabaseUrl"])
    app = Flask("pages", static_folder=None)

    @app.get("/")
    def start() -> AnyResponse:
        return redirect(START)

    @app.get("/config.js")
    def config_module() -> Response:
        text = f"export const config = {json.dumps(config, indent=2)}\n"
        return Response(text, content_type="text/javascript; charset=utf-8")

    @app.get("/clients/<path:name>")
    def client(name: str) -> Response:
        return _file(root / "clients", name)

    @app.get("/<path:name>")
    def example(name: str) -> AnyResponse:
        inside = safe_join(str(root / "examples"), name)
        if inside and Path(inside).is_dir() and not name.endswith("/"):
            return redirect(f"/{name}/", 308)
        return _file(root / "examples", f"{name}index.html" if name.endswith("/") else name)

    @app.get("/ready")
    def ready() -> str:
        return "ready"

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.update(headers)
        return response

    return app


def _file(folder: Path, name: str) -> Response:
    if any(part.startswith(".") for part in name.split("/")):
        abort(404)
    response = send_from_directory(folder, name)
    if response.mimetype in ("text/javascript", "text/html", "text/css"):
        response.headers["Content-Type"] = f"{response.mimetype}; charset=utf-8"
    return response


def _headers(origins: list[str], storage: str) -> dict[str, str]:
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' blob: data: {storage}",
        "connect-src": " ".join(origins),
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }
