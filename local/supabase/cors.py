"""What a browser asks for before a page of another origin may talk to the project."""

from flask import Flask, Response, request

API = ("/rest/v1/", "/auth/v1/", "/storage/v1/", "/functions/v1/")
_METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS"
_EXPOSED = (
    "Content-Range,Content-Location,Location,Preference-Applied,Proxy-Status,X-Supabase-Api-Version"
)


def allow_browsers(app: Flask) -> None:
    """Answer preflights, and let pages of every origin read answers: keys and tokens protect."""

    @app.before_request
    def preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        return Response(status=204) if _is_api() else Response(status=404)

    @app.after_request
    def allow(response: Response) -> Response:
        if not _is_api():
            return response
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            asked = request.headers.get("Access-Control-Request-Headers", "")
            response.headers["Access-Control-Allow-Headers"] = asked
            response.headers["Access-Control-Max-Age"] = "3600"
        return response


def _is_api() -> bool:
    """Whether the real project has this path: what only our tests ask is closed to pages."""
    if request.path.startswith("/functions/v1/"):
        return request.method in ("POST", "OPTIONS")
    return request.path.startswith(API) and request.path != "/storage/v1/_outage"
