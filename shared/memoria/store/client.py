"""The one way to the database: SQL functions called through supabase-py."""

import time
from typing import TYPE_CHECKING, Any

import httpx

from memoria import log
from memoria.errors import InvalidRequest, StoreUnavailable, StoreUnreachable

if TYPE_CHECKING:
    from postgrest.exceptions import APIError
    from supabase import Client

    from memoria.config import Settings

_PAUSES_SECONDS = (0.2, 1.0, 3.0)
# what the caller's arguments caused, and no later try can mend
_CALLERS_FAULT = ("22", "23")
# PostgREST had no connection or no schema for the call, so that any may be repeated
_NEVER_BEGAN = ("PGRST000", "PGRST002", "PGRST003")
# the key is not this project's; the gateway says so without a code (``_is_of_the_gateway``)
_KEY_REFUSED = ("API key", "Invalid authentication", "Unauthorized", "cannot consume")
_NO_KEY = ("401", "403", "PGRST301", "PGRST302", "PGRST303")


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
    """Call ``public.function`` and return its answer, a JSON object.

    What got no answer is tried again after a pause, for a function may be called twice. Those whose
    second call means something else pass ``retries=0``: memoria_claim (it finds the job taken),
    memoria_begin_search (each call counts) and memoria_search (it ends what was begun). What
    PostgREST never began is tried again in any case. Raises StoreUnavailable, or InvalidRequest
    where the database finds the values themselves wrong.
    """
    for tried, pause in enumerate((*_PAUSES_SECONDS, None)):
        try:
            return _answer(client, function, params)
        except StoreUnavailable as error:
            may_repeat = tried < retries or isinstance(error, _NeverBegan)
            if pause is None or not may_repeat or isinstance(error, _Refused):
                raise
        time.sleep(pause)
    raise AssertionError("unreachable")


class KeyRefused(StoreUnavailable):
    """The project does not know the key; whoever deployed must mend it."""


class _Refused(StoreUnavailable):
    """One of our own functions said no: no later try is answered otherwise."""


class _NeverBegan(StoreUnavailable):
    """PostgREST had no connection or no schema for the call."""


def _answer(client: "Client", function: str, params: dict[str, Any]) -> dict[str, Any]:
    from postgrest.exceptions import APIError

    try:
        answer = client.rpc(function, params).execute().data
    except APIError as exc:
        if str(exc.code)[:2] in _CALLERS_FAULT:
            raise InvalidRequest(f"the database refused a value ({exc.code})") from exc
        if exc.code in _NO_KEY or _is_of_the_gateway(exc):
            told = exc.code or exc.message
            message = f"the project does not accept SUPABASE_SERVICE_ROLE_KEY ({told})"
            raise KeyRefused(message) from exc
        raise _kind(str(exc.code))(f"the database answered {exc.code}") from exc
    except httpx.RequestError as exc:
        where, trouble = address(exc.request.url), type(exc).__name__
        log.event("database_unreachable", at=where, error=trouble)
        raise StoreUnreachable(f"the database at {where} could not be reached ({trouble})") from exc
    if not isinstance(answer, dict):  # a proxy's page, with 200
        raise StoreUnavailable("it was not the database that answered")
    return answer


def _kind(code: str) -> type[StoreUnavailable]:
    if code.startswith("PT4"):
        return _Refused
    return _NeverBegan if code in _NEVER_BEGAN else StoreUnavailable


def _is_of_the_gateway(error: "APIError") -> bool:
    """Its refusals of a key have a message alone: of the hosted gateway, or of Kong."""
    return error.code is None and any(words in (error.message or "") for words in _KEY_REFUSED)
