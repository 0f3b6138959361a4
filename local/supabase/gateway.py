"""One loopback port that looks like a Supabase project: rest, storage, the callback's receiver.

``gunicorn "local.supabase.gateway:create_app()"``; all that it needs comes by the environment.
"""

import os
from pathlib import Path

import psycopg
from flask import Flask
from psycopg_pool import ConnectionPool

from local.supabase.keys import Keys
from local.supabase.receiver import receiver_blueprint
from local.supabase.rest import rest_blueprint
from local.supabase.storage import Shelf, storage_blueprint

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
    pool: ConnectionPool[psycopg.Connection] = ConnectionPool(
        environ["LOCAL_REST_DATABASE_URL"],
        min_size=2,
        max_size=CONNECTIONS,
        timeout=PATIENCE_SECONDS,
        reconnect_timeout=3600,
        open=True,
    )
    app = Flask("memoria-local")
    app.register_blueprint(rest_blueprint(pool, keys))
    app.register_blueprint(storage_blueprint(Shelf(Path(environ["LOCAL_STORAGE_DIR"])), keys))
    app.register_blueprint(receiver_blueprint())
    app.add_url_rule("/ready", view_func=lambda: "ready")
    return app
