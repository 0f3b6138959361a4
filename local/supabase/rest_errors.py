"""What PostgREST answers where a request cannot be served: status, code, words."""

import re
from collections.abc import Set as AbstractSet

import psycopg
from psycopg_pool import PoolTimeout


class RestError(Exception):
    """An answer that is not 2xx: ``{"code", "message", "details", "hint"}``."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message, "details": details, "hint": hint}


def not_found(name: str, keys: AbstractSet[str]) -> RestError:
    given = ", ".join(sorted(keys))
    signature = f"public.{name}({given})" if given else f"public.{name} without parameters"
    parameters = f"with parameters {given} or" if given else "without parameters or"
    return RestError(
        404,
        "PGRST202",
        f"Could not find the function {signature} in the schema cache",
        f"Searched for the function public.{name} {parameters} with a single unnamed json/jsonb "
        "parameter, but no matches were found in the schema cache.",
    )


# by SQLSTATE or its class (PostgREST, Error.hs, mapSQLtoHTTP)
_STATUS = {
    **dict.fromkeys(("08", "53", "57P01"), 503),
    **dict.fromkeys(("09", "21000", "25", "2D", "38", "39", "3B", "40", "42P17", "53400"), 500),
    **dict.fromkeys(("54", "55", "57", "58", "F0", "HV", "P0", "XX"), 500),
    **dict.fromkeys(("0L", "0P", "28", "42501"), 403),
    **dict.fromkeys(("42883", "42P01"), 404),
    **dict.fromkeys(("23503", "23505"), 409),
    "25006": 405,
    "P0001": 400,
}


def from_postgres(error: psycopg.Error, *, anonymous: bool) -> RestError:
    if isinstance(error, PoolTimeout):
        return RestError(504, "PGRST003", "Timed out acquiring connection from connection pool.")
    if error.sqlstate is None:
        return RestError(
            503, "PGRST001", "Database client error. Retrying the connection.", str(error)
        )
    code, diag = error.sqlstate, error.diag
    status = _STATUS.get(code) or _STATUS.get(code[:2], 400)
    if code == "42501" and anonymous:
        status = 401
    elif code == "21000" and (diag.message_primary or "").endswith("requires a WHERE clause"):
        status = 400  # safeupdate's
    elif re.fullmatch(r"PT\d{3}", code):
        status = int(code[2:])
    return RestError(
        status, code, diag.message_primary or "", diag.message_detail, diag.message_hint
    )
