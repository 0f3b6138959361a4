"""What a command is given and told, or one sentence that says what is wrong with it."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from memoria.contracts import Json
from memoria.errors import InvalidRequest, StoreUnavailable
from memoria.store.client import rpc

if TYPE_CHECKING:
    from supabase import Client


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

    Raises what that raises, and StoreUnavailable where something else than Memoria answers.
    """
    try:
        told: Json = rpc(client, function, params, retries=retries)
    except UnicodeDecodeError:  # no JSON either, but with the mark of a text
        told = {}
    if not told.keys() >= set(fields):
        where = client.supabase_url
        raise StoreUnavailable(f"{where} answers, but not as Memoria's {function} does")
    return told
