"""``memoria search``: whom a picture shows, asked as the app's backend asks."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx

from memoria.errors import UnknownRoute

_TIMEOUT_SECONDS = 90.0


def add_parser(subparsers: Any) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "search",
        help="find the photos of who is in a picture",
        description="Asks the service at --url (default $SEARCH_URL) with $WEBHOOK_SECRET.",
    )
    parser.add_argument("event", metavar="EVENT")
    parser.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE")
    parser.add_argument("--url", default=os.environ.get("SEARCH_URL", "http://127.0.0.1:8081"))
    parser.add_argument("--consent", default="1", help="the version of the text that was accepted")
    parser.add_argument("--point", metavar="X,Y", help="which face of the first picture, 0..1")
    parser.add_argument("--json", action="store_true", help="the whole answer")


def run(args: argparse.Namespace) -> int:
    """Print the photos. Returns 0 where some were found, 1 where not, 2 where it was refused."""
    secret = os.environ.get("WEBHOOK_SECRET") or os.environ.get("CALLBACK_SECRET", "")
    fields = {"event_id": args.event, "consent": args.consent}
    if args.point:
        fields["point"] = args.point
    try:
        pictures = [path.read_bytes() for path in args.pictures]
        answer = ask(args.url, secret, fields, pictures)
        body = answer.json()
    except httpx.HTTPError as problem:
        sys.stderr.write(f"memoria: {args.url} does not answer ({problem})\n")
        return 2
    except (OSError, ValueError) as problem:
        sys.stderr.write(f"memoria: {problem}\n")
        return 2
    if args.json:
        print(json.dumps(body, indent=2))
    if not answer.is_success:
        sys.stderr.write(f"memoria: {_refusal(body['error'], args)}\n")
        return 2
    if args.json:
        return 0
    _print_photos(body["matches"])
    return 0 if body["matches"] else 1


def _print_photos(matches: list[dict[str, Any]]) -> None:
    for match in matches:
        for photo in match["photos"]:
            band = "maybe" if "maybe" in (match["band"], photo["band"]) else "sure"
            print(band, match["confidence"], photo["media_id"], sep="\t")


def _refusal(error: dict[str, Any], args: argparse.Namespace) -> str:
    """What the service said, and what to do where that is known."""
    said = f"{error['code']}: {error['message']}"
    if error["message"] == UnknownRoute.sentence:
        return f"{said}. Does {args.url} answer searches (SEARCH=on)?"
    if error["code"] == "not_found":
        return f"{said}. Is there an event {args.event}?"
    if error["code"] == "several_faces" and len(args.pictures) == 1:
        boxes = error["faces"]
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
