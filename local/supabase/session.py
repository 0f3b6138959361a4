"""A transaction of the caller: role and claims, as PostgREST and Storage set them."""

import json
from collections.abc import Mapping
from typing import Any

from psycopg import Connection, sql
from werkzeug.datastructures import Headers


def settings_of(claims: Mapping[str, Any], headers: Headers) -> dict[str, str]:
    """What tells a transaction who asks; ``claims["role"]`` is the role that it takes on."""
    return {
        "role": claims["role"],
        "request.jwt.claims": json.dumps(claims),
        "request.headers": json.dumps({name.lower(): value for name, value in headers.items()}),
    }


def set_local(connection: Connection[Any], settings: Mapping[str, str]) -> None:
    """Set all of it until the transaction ends."""
    calls = sql.SQL(", ").join(
        sql.SQL("set_config({}, {}, true)").format(sql.Literal(name), sql.Literal(value))
        for name, value in settings.items()
    )
    connection.execute(sql.SQL("select ") + calls, prepare=False)
