"""One loopback port that looks like a Supabase project: rest, auth, storage, callbacks.


``gunicorn "local.supabase.gateway:create_app()"``; all that it needs comes by the environment.
"""

import os
from pathlib import Path
from typing import Any

from flask import Flask
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from local.supabase.auth import auth_blueprint
from local.supabase.cors import allow_browsers
from local.supabase.keys import Keys
from local.supabase.receiver import receiver_blueprint
from local.supabase.rest import rest_blueprint
from local.supabase.storage import storage_blueprint

CONNECTIONS = 10  # PostgREST's default
PATIENCE_SECONDS = 10  # likewise; then 504 PGRST003


def create_app() -> Flask:
    """Built in the worker, after the fork: the pool keeps threads of its own."""
    environ = os.environ
    keys = Keys(
        secret=environ["LOCAL_SECRET_KEY"],
        publishable=environ["LOCAL_PUBLISHABLE_KEY"],
        jwt_secret=environ["LOCAL_JWT_SECRET"],
    )
    database_url = environ["LOCAL_DATABASE_URL"]
    files = Path(environ["LOCAL_STORAGE_DIR"])
    app = Flask("memoria-local")
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.register_blueprint(rest_blueprint(_pool(database_url, "authenticator"), keys))
    # these two see at once that a database went and came back
    checked = ConnectionPool.check_connection
    accounts = _pool(database_url, "supabase_auth_admin", check=checked)
    app.register_blueprint(auth_blueprint(accounts, keys))
    storage = _pool(
        database_url, "supabase_storage_admin", check=checked, kwargs={"row_factory": dict_row}
    )
    app.register_blueprint(storage_blueprint(storage, files, keys))
    app.register_blueprint(receiver_blueprint())
    app.add_url_rule("/ready", view_func=lambda: "ready")
    allow_browsers(app)
    return app


def _pool(database_url: str, role: str, **options: Any) -> ConnectionPool[Any]:
    """Connections of one service, as a role of its own; its transactions take the callers'."""
    return ConnectionPool(
        database_url.replace("//", f"//{role}@", 1),
        min_size=2,
        max_size=CONNECTIONS,
        timeout=PATIENCE_SECONDS,
        reconnect_timeout=3600,
        open=True,
        **options,
    )
