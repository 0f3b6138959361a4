"""The one way to the database: SQL functions called through supabase-py."""

import time
from typing import TYPE_CHECKING, Any

import httpx

from memoria import log
from memoria.errors import InvalidRequest, StoreUnavailable, StoreUnreachable

if TYPE_CHECKING:
    from supabase import Client

    from memoria.config import Settings

_PAUSES_SECONDS = (0.2, 1.0, 3.0)
# what the caller's arguments caused, and no later try can mend
_CALLERS_FAULT = ("22", "23")
# PostgREST had no connection or no schema for the call: it never began, so that any may be repeated
_NEVER_BEGAN = ("PGRST000", "PGRST002", "PGRST003")


def open_client(settings: "Settings") -> "Client":
    """A client over one HTTP/1.1 pool: HTTP/2 shared between threads breaks (supabase-py#1064)."""
    from supabase import Client, ClientOptions

    http = httpx.Client(timeout=settings.store_timeout_seconds, http2=False, follow_redirects=False)
    options = ClientOptions(auto_refresh_token=False, persist_session=False, httpx_client=http)
    key = settings.supabase_service_role_key.get_secret_value()
    return Client(settings.supabase_url, key, options)


def address(url: httpx.URL) -> str:
    """Who is meant by a URL, for a message: ``https://project.supabase.co``, and nothing secret."""
    return f"{url.scheme}://{url.netloc.decode()}"


def rpc(client: "Client", function: str, params: dict[str, Any], *, retries: int = 3) -> Any:
    """Call ``public.function`` and return its JSON value.

    Every function of ours may be called twice (except claims, which pass ``retries=0``), so a
    lost connection is tried again after a pause. What PostgREST never began is tried again in any
    case. Raises StoreUnavailable, or InvalidRequest where the database finds the values
    themselves wrong.
    """
    from postgrest.exceptions import APIError

    for tried, pause in enumerate((*_PAUSES_SECONDS, None)):
        began = True
        try:
            return client.rpc(function, params).execute().data
        except APIError as exc:
            if str(exc.code)[:2] in _CALLERS_FAULT:
                raise InvalidRequest(f"the database refused a value ({exc.code})") from exc
            began = exc.code not in _NEVER_BEGAN
            cause: Exception = exc
            error = StoreUnavailable(f"the database answered {exc.code}")
        except httpx.TransportError as exc:
            cause, where, kind = exc, address(exc.request.url), type(exc).__name__
            error = StoreUnreachable(f"the database at {where} could not be reached ({kind})")
            log.event("database_unreachable", at=where, error=kind)
        if pause is None or (began and tried >= retries):
            raise error from cause
        time.sleep(pause)
    raise AssertionError("unreachable")
