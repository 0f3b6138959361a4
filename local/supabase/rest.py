"""A stand-in for PostgREST over the real PostgreSQL: ``/rest/v1/rpc/*``, and tables and views."""

import json
from collections.abc import Set as AbstractSet
from typing import Any, NoReturn

import psycopg
from flask import Blueprint, Response, request
from psycopg_pool import ConnectionPool

from local.supabase import tables
from local.supabase.keys import IdentityError, Keys, identify
from local.supabase.rest_errors import RestError, from_postgres, not_found
from local.supabase.routines import Routine, call_statement, find_routines, role_settings
from local.supabase.session import set_local, settings_of
from local.supabase.tables import QueryError

MAX_ROWS = 1000
SEARCH_PATH = "public, extensions"


def rest_blueprint(
    pool: ConnectionPool[psycopg.Connection[Any]],
    keys: Keys,
    schema_cache: AbstractSet[str] | None = None,
) -> Blueprint:
    """The routes; the pool's user must be allowed to ``set role`` to the three API roles.

    ``schema_cache`` are the only functions that are known, as where the cache is stale; without
    it each call looks, as if every change were told at once.
    """
    rest = Blueprint("rest", __name__, url_prefix="/rest/v1")
    everything = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

    @rest.route("/rpc/<name>", methods=everything)
    def rpc(name: str) -> Response:
        claims = identify(request.headers, keys)
        body, arguments = _arguments()
        if schema_cache is not None and name not in schema_cache:
            raise not_found(name, arguments)
        try:
            with pool.connection() as connection:
                return _call(connection, name, body, arguments, claims)
        except psycopg.Error as exc:
            raise from_postgres(exc, anonymous=claims["role"] == "anon") from exc

    @rest.route("/<path:table>", methods=everything)
    def rows(table: str) -> Response:
        claims = identify(request.headers, keys)
        try:
            with pool.connection() as connection:
                return _answer_table(connection, table, claims)
        except QueryError as exc:
            raise RestError(400, "PGRST100", str(exc)) from exc
        except psycopg.Error as exc:
            raise from_postgres(exc, anonymous=claims["role"] == "anon") from exc

    @rest.errorhandler(RestError)
    def refuse(error: RestError) -> Response:
        return _json(json.dumps(error.body), error.status, error.body["code"])

    @rest.errorhandler(IdentityError)
    def refuse_key(error: IdentityError) -> Response:
        return _json(json.dumps(error.body), 401, error.body.get("code"))

    return rest


def _json(body: str, status: int, error: str | None = None) -> Response:
    response = Response(body, status, content_type="application/json; charset=utf-8")
    if error:
        response.headers["Proxy-Status"] = f"PostgREST; error={error}"
    return response


def _arguments() -> tuple[str, AbstractSet[str]]:
    """The JSON text of the arguments, and their names."""
    if request.method not in ("GET", "HEAD", "POST"):
        raise RestError(405, "PGRST101", "Only GET, HEAD, and POST methods are allowed on RPC")
    _check_profile()
    if request.method != "POST":
        return json.dumps(request.args.to_dict()), request.args.keys()
    text = request.get_data(as_text=True) or "{}"
    value = _json_of(text)
    if isinstance(value, list):
        value = value[0] if value else {}
        text = json.dumps(value)
    return text, value.keys() if isinstance(value, dict) else frozenset()


def _check_profile() -> None:
    profile = request.headers.get(
        "Accept-Profile" if request.method in ("GET", "HEAD") else "Content-Profile"
    )
    if profile not in (None, "public"):
        details = f"The schema must be one of the following: public. Got {profile}."
        raise RestError(406, "PGRST106", "Invalid schema: " + str(profile), details)


def _json_of(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        raise RestError(400, "PGRST102", "Empty or invalid json") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def asker(claims: dict[str, Any]) -> dict[str, str]:
    """What a transaction of PostgREST's is told of the request."""
    return settings_of(claims, request.headers) | {
        "search_path": SEARCH_PATH,
        "request.method": request.method,
        "request.path": request.path.removeprefix("/rest/v1"),
    }


def _call(
    connection: psycopg.Connection[Any],
    name: str,
    body: str,
    keys: AbstractSet[str],
    claims: dict[str, Any],
) -> Response:
    connection.execute("select set_config('search_path', '', true)")
    routine = _choose(find_routines(connection, name), name, keys)
    if routine.read_only or request.method != "POST":
        connection.execute("set transaction read only")
    local = asker(claims) | role_settings(connection, claims["role"]) | routine.hoisted()
    set_local(connection, local)
    statement = call_statement(routine, keys, MAX_ROWS)
    text, rows = connection.execute(statement, {"body": body}).fetchone() or ("null", 0)
    status = connection.execute("select current_setting('response.status', true)").fetchone()
    code = int(status[0]) if status and status[0] else 200
    if routine.returns_void:
        return Response(status=204 if code == 200 else code)
    response = _json(text, code)
    response.headers["Content-Range"] = f"0-{rows - 1}/*" if rows else "*/*"
    return response


def _answer_table(
    connection: psycopg.Connection[Any], table: str, claims: dict[str, Any]
) -> Response:
    _check_profile()
    if not tables.is_table(connection, table):
        message = f"Could not find the table 'public.{table}' in the schema cache"
        raise RestError(404, "PGRST205", message)
    if request.method in ("GET", "HEAD"):
        connection.execute("set transaction read only")
    set_local(connection, asker(claims) | role_settings(connection, claims["role"]))
    query = [(name, value) for name, value in request.args.items(multi=True)]
    prefer = request.headers.get("Prefer", "")
    shown = "return=representation" in prefer
    match request.method:
        case "GET" | "HEAD":
            counted = "count=" in prefer
            found = tables.read(connection, table, query, most=MAX_ROWS, counted=counted)
            return _rows(found, 200, start=int(request.args.get("offset", 0)))
        case "POST":
            resolution = next(
                (word for word in ("merge", "ignore") if f"resolution={word}" in prefer), ""
            )
            body = _json_of(request.get_data(as_text=True))
            found = tables.insert(
                connection, table, query, body, resolution=resolution, shown=shown
            )
            return _rows(found, 201) if shown else Response(status=201)
        case "PATCH":
            body = _json_of(request.get_data(as_text=True))
            found = tables.update(connection, table, query, body, shown=shown)
        case "DELETE":
            found = tables.delete(connection, table, query, shown=shown)
        case _:
            raise RestError(405, "PGRST117", f"Unsupported HTTP method: {request.method}")
    return _rows(found, 200) if shown else Response(status=204)


def _rows(found: tables.Answer, status: int, start: int = 0) -> Response:
    text = found.body
    if "application/vnd.pgrst.object+json" in request.headers.get("Accept", ""):
        if found.count != 1:
            message, details = (
                "Cannot coerce the result to a single JSON object",
                f"The result contains {found.count} rows",
            )
            raise RestError(406, "PGRST116", message, details)
        text = json.dumps(json.loads(text)[0])
    total = "*" if found.total is None else str(found.total)
    partial = found.total is not None and found.count < found.total
    response = _json(text, 206 if partial else status)
    of = f"{start}-{start + found.count - 1}" if found.count else "*"
    response.headers["Content-Range"] = f"{of}/{total}"
    return response


def _choose(candidates: list[Routine], name: str, keys: AbstractSet[str]) -> Routine:
    matching = [routine for routine in candidates if routine.matches(keys)]
    if not matching and request.method == "POST":
        matching = [routine for routine in candidates if routine.takes_whole_body]
    if len(matching) == 1:
        return matching[0]
    if matching:
        hint = "Try renaming the parameters or the function itself in the database"
        message = f"Could not choose the best candidate function between overloads of public.{name}"
        raise RestError(300, "PGRST203", message, hint=hint)
    raise not_found(name, keys)
