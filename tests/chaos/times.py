"""Every time as it ships, divided by one factor; counts and limits stay as they ship."""

import json

import psycopg

from memoria.config import Settings

FACTOR = 20.0

# the functions' own; the rest of a deployment's times are the database's
_OF_FUNCTIONS = (
    "max_run_seconds",
    "fetch_timeout_seconds",
    "store_timeout_seconds",
    "callback_timeout_seconds",
)


def shipped(setting: str) -> float:
    """A setting of the functions as it ships, in its unit."""
    return float(Settings.model_fields[setting].default)


def environ() -> dict[str, str]:
    """The functions' times."""
    return {name.upper(): f"{shipped(name) / FACTOR:g}" for name in _OF_FUNCTIONS}


def divide_times(database_url: str) -> None:
    """The database's times, once it is as it ships."""
    query = "select key, value from memoria.settings where key ~ '_(seconds|ms|hours)$'"
    with psycopg.connect(database_url) as connection:
        times = {key: _divided(key, value) for key, value in connection.execute(query)}
        connection.execute("select public.memoria_configure(%s)", (json.dumps(times),))


def run_lease_seconds(database_url: str) -> float:
    """How long *process* may be silent."""
    query = "select value -> 'process' from memoria.settings where key = 'run_lease_seconds'"
    with psycopg.connect(database_url) as connection:
        (seconds,) = connection.execute(query).fetchone() or (0,)
    return float(seconds)


def _divided(key: str, value: object) -> object:
    if isinstance(value, dict):
        return {kind: _divided(key, time) for kind, time in value.items()}
    assert isinstance(value, int | float)
    return round(value / FACTOR) if key.endswith("_ms") else value / FACTOR
