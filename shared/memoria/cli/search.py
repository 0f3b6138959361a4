"""``memoria search``: whom a picture shows, asked as the app's backend asks."""

import argparse
import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from memoria.cli.environment import environment
from memoria.cli.terminal import plain
from memoria.contracts import Json
from memoria.errors import InvalidRequest, UnknownRoute

_LOCAL = "http://127.0.0.1:8081"  # of `make serve`
_TIMEOUT_SECONDS = 90.0
_SIGNED = "/object/sign/"


def add_parser(subparsers: Any) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "search",
        help="find the photos of who is in a picture",
        description="Asks the service at --url with $WEBHOOK_SECRET, or with $CALLBACK_SECRET. "
        "Prints a line for each photo, with tabs: sure or maybe, the confidence (0 to 1) in who it "
        "is, media_id, and where it lies in Storage, or its preview where there is one.",
    )
    parser.add_argument("event", metavar="EVENT")
    parser.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE")
    parser.add_argument("--url", default="", help=f"of the service ($SEARCH_URL, or {_LOCAL})")
    parser.add_argument("--consent", default="1", help="the version of the text that was accepted")
    parser.add_argument("--point", metavar="X,Y", help="which face of the first picture, 0..1")
    parser.add_argument("--json", action="store_true", help="the whole answer")


def run(args: argparse.Namespace) -> int:
    """Print the photos. Returns 0 where some were found, 1 where not, 2 where it was refused."""
    known = environment()
    args.url = args.url or known.get("SEARCH_URL") or _LOCAL
    secret = known.get("WEBHOOK_SECRET") or known.get("CALLBACK_SECRET", "")
    fields = {"event_id": args.event, "consent": args.consent}
    if args.point:
        fields["point"] = args.point
    pictures = [path.read_bytes() for path in args.pictures]
    try:
        answer = ask(args.url, secret, fields, pictures)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as problem:
        raise InvalidRequest(f"{args.url} does not answer ({problem})") from problem
    body = _body(answer, args.url)
    if args.json:
        print(json.dumps(body, indent=2))
    if "error" in body:
        raise InvalidRequest(_refusal(body["error"], args))
    if args.json:
        return 0
    _print_photos(body["matches"])
    return 0 if body["matches"] else 1


def _body(answer: httpx.Response, url: str) -> Json:
    """With "matches", or with the "error" of a refusal. Raises InvalidRequest for anything else."""
    with suppress(ValueError):
        body = answer.json()
        error = body.get("error") if isinstance(body, dict) else None
        if isinstance(error, dict) and error.keys() >= {"code", "message"}:
            return {"error": error}
        if answer.is_success and isinstance(body, dict) and isinstance(body.get("matches"), list):
            return dict(body)
    raise InvalidRequest(f"{url} answers {answer.status_code}, but not as Memoria's search does")


def _print_photos(matches: list[dict[str, Any]]) -> None:
    for match in matches:
        for photo in match["photos"]:
            band = "maybe" if "maybe" in (match["band"], photo["band"]) else "sure"
            place = plain(_place(photo.get("url") or ""))
            print(band, match["confidence"], plain(photo["media_id"]), place, sep="\t")


def _place(url: str) -> str:
    """The bucket and path of a signed URL; empty of none, as photos outside Storage have."""
    return unquote(urlsplit(url).path.partition(_SIGNED)[2])


def _refusal(error: dict[str, Any], args: argparse.Namespace) -> str:
    """What the service said, and what to do where that is known."""
    said = f"{error['code']}: {error['message']}"
    if error["message"] == UnknownRoute.sentence:
        return f"{said}. Does {args.url} answer searches (SEARCH=on)?"
    if error["code"] == "not_found":
        return f"{said}. Is there an event {args.event}?"
    boxes = error.get("faces")
    if error["code"] == "several_faces" and boxes and len(args.pictures) == 1:
        middles = (f"{b['x'] + b['w'] / 2:.2f},{b['y'] + b['h'] / 2:.2f}" for b in boxes)
        return f"{said}: --point {' or '.join(middles)}"
    return said


def ask(url: str, secret: str, fields: dict[str, str], pictures: list[bytes]) -> httpx.Response:
    """The answer of a search service to the app's backend. Raises httpx.HTTPError."""
    return httpx.post(
        f"{url.rstrip('/')}/search",
        data=fields,
        files=[("image", ("selfie", picture)) for picture in pictures],
        headers={"Authorization": f"Bearer {secret}"},
        timeout=_TIMEOUT_SECONDS,
    )
