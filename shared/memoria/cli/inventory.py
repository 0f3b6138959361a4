"""What a bucket, a table or a file holds, as items to enqueue, in a stable order."""

import argparse
import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from memoria.cli.inputs import NoSuchEvent, photos_of
from memoria.errors import InvalidRequest, StoreUnavailable
from memoria.store.client import address

if TYPE_CHECKING:
    from supabase import Client

_PAGE = 1000
_MAX_ID = 200
_COLUMNS = ("media_id", "event_id", "bucket", "path")


@dataclass(frozen=True, slots=True)
class Item:
    """One photo to enqueue."""

    media_id: str
    event_id: str
    bucket: str  # of Storage, or gs://name
    path: str


@dataclass(slots=True)
class LeftOut:
    """How many of a source's objects are no items, counted while these are read."""

    by_name: Counter[str] = field(default_factory=Counter)  # by their ending
    outside: int = 0  # every folder, where folders name the events
    known: Counter[str] = field(default_factory=Counter)  # by what the database has them as

    def lines(self) -> Iterator[str]:
        """What there is to say of them."""
        from memoria.media.names import counted

        if self.by_name:
            yield f"{self.by_name.total()} left out by their names: {counted(self.by_name)}"
        if self.outside:
            yield f"{self.outside} left out, in no folder that would name their event"
        if count := self.known["path"]:
            yield f"{count} left out: their event has them under other ids"
        if count := self.known["preview_path"]:
            yield f"{count} left out: previews of photos of their event"


def items_of(args: argparse.Namespace, client: "Client", left_out: LeftOut) -> Iterator[Item]:
    """The items of ``args.source``. Raises InvalidRequest where something they need is missing."""
    scheme, _, rest = args.source.partition(":")
    if scheme in ("storage", "gs"):
        bucket, _, prefix = _named(args.source, rest).partition("/")
        folder = f"{prefix.strip('/')}/".lstrip("/")  # party/, or nothing: party2 is another one
        listed = _storage(client, bucket, folder) if scheme == "storage" else _gcs(bucket, folder)
        name = bucket if scheme == "storage" else f"gs://{bucket}"
        return _objects(args, name, folder, listed, left_out)
    if scheme == "table":
        return _rows(args, _table(client, _named(args.source, rest), _columns(args)["media_id"]))
    return _rows(args, _csv(Path(args.source)))


def unknown(client: "Client", items: Iterable[Item], left_out: LeftOut) -> Iterator[Item]:
    """Without those to which we would give a second id: what an app names, it names by itself."""
    known: dict[str, dict[tuple[str, str], str]] = {}  # by event, read when its first item comes
    for item in items:
        if item.media_id == media_id_of(item.bucket, item.path):
            if item.event_id not in known:
                known[item.event_id] = _known(client, item.event_id)
            if kind := known[item.event_id].get((item.bucket, item.path)):
                left_out.known[kind] += 1
                continue
        yield item


def _known(client: "Client", event: str) -> dict[tuple[str, str], str]:
    """Where photos of the event lie that have another id than ours, and all previews."""
    places: dict[tuple[str, str], str] = {}
    with suppress(NoSuchEvent):
        for photo in photos_of(client, event):
            for kind in ("preview_path", "path"):
                place = (photo["bucket"], photo[kind])
                if place[1] and media_id_of(*place) != photo["media_id"]:
                    places[place] = kind
    return places


def _named(source: str, rest: str) -> str:
    if not (name := rest.lstrip("/")):
        raise InvalidRequest(f"{source} names nothing: storage://BUCKET, gs://BUCKET or table:NAME")
    return name


def media_id_of(bucket: str, path: str) -> str:
    """The same id for the same object every time, at most 200 characters."""
    name = f"{bucket.removeprefix('gs://')}/{path}"
    return name if len(name) <= _MAX_ID else hashlib.sha256(name.encode()).hexdigest()


def _objects(
    args: argparse.Namespace, bucket: str, folder: str, paths: Iterator[str], left_out: LeftOut
) -> Iterator[Item]:
    from memoria.media.names import SUFFIXES, ending_of

    if not args.event and not args.event_from_folder:
        raise InvalidRequest("a bucket needs --event ID or --event-from-folder")
    is_empty = True
    for path in paths:
        is_empty = False
        if _is_no_file(path):
            continue
        ending = ending_of(path)
        event, below, _ = path.removeprefix(folder).strip("/").partition("/")
        if ending and ending not in SUFFIXES:
            left_out.by_name[ending] += 1
        elif args.event or below:
            yield Item(media_id_of(bucket, path), args.event or event, bucket, path)
        else:
            left_out.outside += 1
    if is_empty:  # Storage lists a bucket that is not there as one that is empty
        raise InvalidRequest(
            f"nothing was found in {args.source}: is there such a bucket, or folder?"
        )


def _is_no_file(path: str) -> bool:
    """What stands for a folder (``a/``, ``a/.emptyFolderPlaceholder``), and macOS's ``._``."""
    return path.endswith("/") or path.rpartition("/")[2].startswith(".")


def _storage(client: "Client", bucket: str, folder: str) -> Iterator[str]:
    """Storage lists folder by folder; a folder is an entry without an id."""
    folder, start = folder.strip("/"), 0
    while True:
        order: Any = {"limit": _PAGE, "offset": start, "sortBy": {"column": "name", "order": "asc"}}
        with _told(f"storage://{bucket}"):
            page = _rows_of(client.storage.from_(bucket).list(folder, order), "name")
        for entry in page:
            path = f"{folder}/{entry['name']}".lstrip("/")
            if entry.get("id") is None:
                yield from _storage(client, bucket, path)
            else:
                yield path
        if len(page) < _PAGE:
            return
        start += _PAGE


def _gcs(bucket: str, folder: str) -> Iterator[str]:
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import storage

    try:
        for blob in storage.Client().list_blobs(
            bucket, prefix=folder, fields="items(name),nextPageToken"
        ):
            yield str(blob.name)
    except (GoogleAPIError, GoogleAuthError, OSError, ValueError) as trouble:
        raise InvalidRequest(f"gs://{bucket} cannot be read: {trouble}") from trouble


def _table(client: "Client", name: str, key: str) -> Iterator[Mapping[str, Any]]:
    start = 0
    while True:
        rows = client.table(name).select("*").order(key)
        with _told(f"table:{name}"):
            page = _rows_of(rows.range(start, start + _PAGE - 1).execute().data)
        yield from page
        if not page:
            return
        start += len(page)  # the server may hand out less than was asked for


def _rows_of(answer: Any, *fields: str) -> list[dict[str, Any]]:
    """Raises ValueError where it is none of Supabase's."""
    rows: list[dict[str, Any]] = answer if isinstance(answer, list) else [answer]
    if not all(isinstance(row, dict) and row.keys() >= set(fields) for row in rows):
        raise ValueError("no rows")
    return rows


def _csv(path: Path) -> Iterator[Mapping[str, Any]]:
    if not path.is_file():
        raise InvalidRequest(f"{path.name} is neither a file nor storage://, gs:// or table:")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield from csv.DictReader(file)
    except (UnicodeDecodeError, csv.Error) as trouble:
        raise InvalidRequest(f"{path.name} is no CSV file in UTF-8: {trouble}") from trouble


@contextmanager
def _told(source: str) -> Iterator[None]:
    """What Supabase answers to a wrong name or key, as one sentence that names the source."""
    from postgrest.exceptions import APIError
    from storage3.exceptions import StorageApiError

    try:
        yield
    except APIError as refusal:
        raise InvalidRequest(f"{source} cannot be read: {refusal.message}") from refusal
    except StorageApiError as refusal:
        raise InvalidRequest(f"{source} cannot be read: {refusal.message}") from refusal
    except ValueError as trouble:  # also from the client's own reading of a page of HTML
        raise InvalidRequest(f"{source}: it was not Supabase that answered") from trouble
    except httpx.RequestError as trouble:
        where = address(trouble.request.url)
        raise StoreUnavailable(
            f"{source}: {where} cannot be reached ({type(trouble).__name__})"
        ) from trouble


def _rows(args: argparse.Namespace, rows: Iterator[Mapping[str, Any]]) -> Iterator[Item]:
    columns = _columns(args)
    for number, row in enumerate(rows, start=1):
        media_id, event_id, bucket, path = (_text(row.get(columns[ours])) for ours in _COLUMNS)
        event_id, bucket = event_id or args.event, bucket or args.bucket
        needed = {"event_id": event_id, "bucket": bucket, "path": path}
        missing = [ours for ours, value in needed.items() if not value]
        if missing:
            raise InvalidRequest(f"row {number} has no {', '.join(missing)}")
        yield Item(media_id or media_id_of(bucket, path), event_id, bucket, path)


def _text(value: object) -> str:
    """Of a cell; 0 is a value, too."""
    return "" if value is None else str(value)


def _columns(args: argparse.Namespace) -> dict[str, str]:
    """Our names -> theirs."""
    named = dict(pair.partition("=")[::2] for pair in args.column)
    if unknown := named.keys() - set(_COLUMNS):
        raise InvalidRequest(f"--column: {', '.join(unknown)} is none of {', '.join(_COLUMNS)}")
    return {ours: named.get(ours, ours) for ours in _COLUMNS}
