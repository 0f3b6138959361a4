import argparse
import csv
import io
import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from memoria.cli import backfill
from memoria.cli.inventory import Item, media_id_of
from memoria.errors import InvalidRequest


class Supabase:
    """The three routes that a backfill uses, on loopback, with what they were asked."""

    def __init__(self) -> None:
        self.folders: dict[str, list[dict[str, object]]] = {}
        self.rows: list[dict[str, object]] = []
        self.enqueued: list[dict[str, str]] = []
        known = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.path.startswith("/rest/v1/rpc/memoria_enqueue"):
                    known.enqueued.append(body)
                    self.answer({"status": "queued"})
                else:
                    page = known.folders[body["prefix"]]
                    self.answer(page[body["offset"] : body["offset"] + body["limit"]])

            def do_GET(self) -> None:
                self.answer(known.rows if "offset=0" in self.path else [])

            def answer(self, value: object) -> None:
                data = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def supabase(monkeypatch: pytest.MonkeyPatch) -> Iterator[Supabase]:
    served = Supabase()
    monkeypatch.setenv("SUPABASE_URL", f"http://127.0.0.1:{served.server.server_port}")
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_test")
    yield served
    served.server.shutdown()
    served.server.server_close()


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    backfill.add_parser(parser.add_subparsers())
    return parser.parse_args(["backfill", *words])


def run(tmp_path: Path, *words: str) -> int:
    journal = ["--journal", str(tmp_path / "journal"), "--rate", "1000"]
    return backfill.run(arguments(*words, *journal))


def table(path: Path, *rows: dict[str, str]) -> str:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def test_a_csv_file_is_enqueued_row_by_row(supabase: Supabase, tmp_path: Path) -> None:
    rows = [
        {"media_id": f"m{i}", "event_id": "e", "bucket": "b", "path": f"{i}.jpg"} for i in range(20)
    ]
    assert run(tmp_path, table(tmp_path / "photos.csv", *rows)) == 0
    assert {call["p_media_id"] for call in supabase.enqueued} == {f"m{i}" for i in range(20)}
    assert supabase.enqueued[0].keys() == {"p_media_id", "p_event_id", "p_bucket", "p_path"}


def test_what_was_enqueued_is_not_enqueued_again(supabase: Supabase, tmp_path: Path) -> None:
    rows = [
        {"media_id": f"m{i}", "event_id": "e", "bucket": "b", "path": "x.jpg"} for i in range(9)
    ]
    source = table(tmp_path / "photos.csv", *rows[:5])
    run(tmp_path, source)
    table(tmp_path / "photos.csv", *rows)
    run(tmp_path, source)
    assert len(supabase.enqueued) == 9


def test_columns_of_an_apps_own_may_have_other_names(supabase: Supabase, tmp_path: Path) -> None:
    source = table(tmp_path / "photos.csv", {"id": "7", "album": "wedding", "file": "a/b.jpg"})
    mapped = ["--column", "media_id=id", "--column", "event_id=album", "--column", "path=file"]
    run(tmp_path, source, *mapped, "--bucket", "photos")
    assert supabase.enqueued == [
        {"p_media_id": "7", "p_event_id": "wedding", "p_bucket": "photos", "p_path": "a/b.jpg"}
    ]


def test_a_table_of_the_app_is_read_in_pages(supabase: Supabase, tmp_path: Path) -> None:
    supabase.rows = [{"id": 1, "path": "one.jpg"}, {"id": 2, "path": "two.jpg"}]
    words = ["table:photos", "--column", "media_id=id", "--bucket", "b", "--event", "e"]
    run(tmp_path, *words)
    assert sorted(call["p_path"] for call in supabase.enqueued) == ["one.jpg", "two.jpg"]


def test_a_storage_bucket_is_walked_folder_by_folder(supabase: Supabase, tmp_path: Path) -> None:
    supabase.folders = {
        "": [{"name": "wedding", "id": None}, {"name": "loose.jpg", "id": "x"}],
        "wedding": [{"name": "late", "id": None}, {"name": "a.JPG", "id": "1"}],
        "wedding/late": [{"name": "b.heic", "id": "2"}, {"name": "clip.mp4", "id": "3"}],
    }
    run(tmp_path, "storage://photos", "--event-from-folder")
    found = {(call["p_event_id"], call["p_path"]) for call in supabase.enqueued}
    assert found == {("wedding", "wedding/a.JPG"), ("wedding", "wedding/late/b.heic")}


def test_a_large_folder_takes_several_pages(supabase: Supabase, tmp_path: Path) -> None:
    supabase.folders = {"": [{"name": f"{i:04}.jpg", "id": str(i)} for i in range(1003)]}
    listed = backfill.items_of(arguments("storage://photos", "--event", "e"), client())
    assert len(list(listed)) == 1003


def client():  # type: ignore[no-untyped-def]
    from memoria.config import Settings

    return backfill.open_client(
        Settings.from_env({**os.environ, "CALLBACK_URL": "off", "WEBHOOK_SECRET": "x"})
    )


def test_a_dry_run_only_lists(
    supabase: Supabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = table(
        tmp_path / "p.csv", {"media_id": "m", "event_id": "e", "bucket": "b", "path": "p"}
    )
    run(tmp_path, source, "--dry-run")
    assert capsys.readouterr().out == "e\tm\tb\tp\n"
    assert not supabase.enqueued
    assert not (tmp_path / "journal").exists()


def test_enqueueing_keeps_to_its_pace(supabase: Supabase, tmp_path: Path) -> None:
    items = [Item(f"m{i}", "e", "b", "p") for i in range(24)]
    started = time.monotonic()
    backfill.enqueue(client(), items, io.StringIO(), rate=40, advance=lambda _: None)
    assert time.monotonic() - started >= 0.6


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["storage://photos"], "--event"),
        (["nowhere.csv"], r"neither a file nor"),
        (["table:photos", "--column", "id=media_id"], "none of media_id"),
    ],
)
def test_what_is_missing_is_named(
    supabase: Supabase, tmp_path: Path, words: list[str], problem: str
) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        run(tmp_path, *words)


def test_a_row_without_a_bucket_is_named_by_its_number(supabase: Supabase, tmp_path: Path) -> None:
    source = table(tmp_path / "photos.csv", {"media_id": "m", "event_id": "e", "path": "p"})
    with pytest.raises(InvalidRequest, match="row 1 has no bucket"):
        run(tmp_path, source)


def test_ids_made_of_paths_are_stable_and_short_enough() -> None:
    assert media_id_of("gs://photos", "a/b.jpg") == "photos/a/b.jpg"
    long = media_id_of("photos", "x" * 300)
    assert len(long) <= 200
    assert long == media_id_of("photos", "x" * 300)
    assert long != media_id_of("photos", "x" * 301)
