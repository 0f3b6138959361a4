"""What a command is given and told, or one sentence that says what is wrong with it."""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from memoria.contracts import Json
from memoria.errors import InvalidRequest, StoreUnavailable
from memoria.store.client import KeyRefused, rpc

if TYPE_CHECKING:
    from supabase import Client

_STALE = (
    "supabase db push --remote; where that was done, the API's schema cache is stale:"
    " run select pg_notify('pgrst', 'reload schema')"
)


class Explained(StoreUnavailable):
    """The database's API refused a call; the message says what, and what to do about it."""

    def __init__(self, told: str, mend: str) -> None:
        """The two parts of the message."""
        super().__init__(f"{told}; {mend}")
        self.told, self.mend = told, mend


class NoSuchEvent(InvalidRequest):
    """The database does not know the event that it was asked about."""


def positive(text: str) -> float:
    """A number over 0, of an option. Raises ValueError, ArgumentTypeError."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError("must be over 0")
    return number


def text_of(path: Path) -> str:
    """A text file. Raises InvalidRequest, OSError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as trouble:
        raise InvalidRequest(f"{path} is no text in UTF-8: {trouble.reason}") from trouble


def ask(client: "Client", function: str, params: Json, *fields: str, retries: int = 3) -> Json:
    """``rpc``, whose answer has at least these fields.

    Raises what that raises, Explained where it is known what to do, NoSuchEvent, and
    StoreUnavailable where something else than Memoria answers.
    """
    try:
        told: Json = rpc(client, function, params, retries=retries)
    except UnicodeDecodeError:  # no JSON either, but with the mark of a text
        told = {}
    except StoreUnavailable as error:
        if _code(error) == "PT404" and "p_event_id" in params:
            raise NoSuchEvent(f"there is no event {params['p_event_id']}") from error
        if known := _explained(error):
            raise Explained(*known) from error
        raise
    if not told.keys() >= set(fields):
        where = client.supabase_url
        raise StoreUnavailable(f"{where} answers, but not as Memoria's {function} does")
    return told


def photos_of(client: "Client", event: str) -> Iterator[Json]:
    """Every photo of an event, page by page. Raises what ``ask`` raises."""
    params: Json = {"p_event_id": event, "p_limit": 500}
    while params:
        page = ask(client, "memoria_media", params, "media")
        yield from page["media"]
        params = params | {"p_after": page["next"]} if page.get("next") else {}


def _explained(error: StoreUnavailable) -> tuple[str, str] | None:
    """What the database's API does not like, and how to mend it; None where that is unknown."""
    if isinstance(error, KeyRefused):
        return error.message, "is it this project's?"
    match _code(error):
        case "PGRST202":
            return "the API knows none of our functions", _STALE
        case "PGRST002" | "PGRST003":
            mend = "try again; if it stays, the project is out of connections or restarting"
            return error.message, mend
        case "42501":
            mend = "SUPABASE_SERVICE_ROLE_KEY: use the service_role or an sb_secret_ key"
            return "the key may not call our functions", mend
    return None


def _code(error: StoreUnavailable) -> str:
    return str(getattr(error.__cause__, "code", ""))
