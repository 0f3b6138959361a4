import argparse
import csv
import io
import json
import os
import re
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from supabase import Client

from memoria.cli import backfill, inventory
from memoria.cli.environment import environment
from memoria.cli.inventory import Item, LeftOut, media_id_of
from memoria.errors import InvalidRequest
from memoria.store.client import open_client
from tests.database.project import Project


class Supabase:
    """The three routes that a backfill uses, on loopback, with what they were asked."""

    def __init__(self) -> None:
        self.folders: dict[str, list[dict[str, object]]] = {}
        self.rows: list[dict[str, object]] = []
        self.events: dict[str, list[dict[str, object]]] = {}
        self.refusal: dict[str, object] = {}
        self.enqueued: list[dict[str, str]] = []
        self.read: list[str] = []  # the events of which a page was asked
        known = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.path == "/rest/v1/rpc/memoria_enqueue_many":
                    media = [known.take(body, photo) for photo in body["p_media"]]
                    self.answer({"event_id": body["p_event_id"], "media": media})
                elif self.path == "/rest/v1/rpc/memoria_media":
                    self.answer(*known.page(body))
                else:
                    page = known.folders[body["prefix"]]
                    self.answer(page[body["offset"] : body["offset"] + body["limit"]])

            def do_GET(self) -> None:
                if known.refusal:
                    self.answer(known.refusal, 404)
                else:
                    self.answer(known.rows if "offset=0" in self.path else [])

            def answer(self, value: object, status: int = 200) -> None:
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def page(self, body: dict[str, str]) -> tuple[dict[str, object], int]:
        """One photo a page of memoria_media."""
        event, start = body["p_event_id"], int(body.get("p_after") or 0)
        self.read.append(event)
        if event not in self.events:
            error = {"code": "PT404", "message": "No such event.", "details": None, "hint": None}
            return dict(error), 404
        photos = self.events[event]
        more = start + 1 if start + 1 < len(photos) else None
        media = photos[start : start + 1]
        return {"event_id": event, "version": 1, "media": media, "next": more}, 200

    def take(self, body: dict[str, str], photo: dict[str, str]) -> dict[str, object]:
        """One photo of memoria_enqueue_many."""
        if "%" in photo["path"] or re.search(r"[\x00-\x1f\x7f]", photo["media_id"]):
            return {"media_id": photo["media_id"], "error": {"code": "invalid", "message": "no %"}}
        self.enqueued.append({"event_id": body["p_event_id"], **photo})
        return {"media_id": photo["media_id"], "job_id": str(uuid.uuid4()), "status": "queued"}


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
    assert {photo["media_id"] for photo in supabase.enqueued} == {f"m{i}" for i in range(20)}
    assert supabase.enqueued[0].keys() == {"media_id", "event_id", "bucket", "path"}


def test_what_was_enqueued_is_not_enqueued_again(
    supabase: Supabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"media_id": f"m{i}", "event_id": "e", "bucket": "b", "path": "x.jpg"} for i in range(9)
    ]
    source = table(tmp_path / "photos.csv", *rows[:5])
    run(tmp_path, source)
    table(tmp_path / "photos.csv", *rows)
    run(tmp_path, source)
    assert len(supabase.enqueued) == 9
    assert capsys.readouterr().err == (
        "5 photos were enqueued.\n4 photos were enqueued. 5 photos were enqueued before:"
        f" to do so again, remove {tmp_path / 'journal'}\n"
    )


def test_what_is_refused_is_told_at_the_end_and_tried_again_next_time(
    supabase: Supabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"media_id": f"m{i}", "event_id": "e", "bucket": "b", "path": path}
        for i, path in enumerate(["a.jpg", "b%2E.jpg", "c.jpg"])
    ]
    source = table(tmp_path / "photos.csv", *rows)
    assert run(tmp_path, source) == 1
    assert "not enqueued: m1: no %\n2 photos were enqueued.\n" in capsys.readouterr().err
    table(tmp_path / "photos.csv", *rows[:1], rows[1] | {"path": "b.jpg"}, rows[2])
    assert run(tmp_path, source) == 0
    assert [photo["path"] for photo in supabase.enqueued] == ["a.jpg", "c.jpg", "b.jpg"]


def test_the_database_takes_the_photos_of_several_events_at_once(database: str) -> None:
    photos = [("m1", "a", "1.jpg"), ("m2", "b", "2.jpg"), ("m3", "a", "x//y.jpg")]
    items = [Item(media_id, event_id, "photos", path) for media_id, event_id, path in photos]
    journal = io.StringIO()
    with Project(database) as project:
        count, refused = backfill.enqueue(
            project.service, items, journal, rate=1000, advance=lambda _: None
        )
        known = project.rows("select id, event_id, status from memoria.media order by id")
    assert count == 2
    assert refused.keys() == {"m3"}
    assert "no empty or dotted segment" in refused["m3"]
    assert journal.getvalue() == '"m1"\n"m2"\n'
    assert [tuple(row.values()) for row in known] == [
        ("m1", "a", "pending"),
        ("m2", "b", "pending"),
    ]


def test_columns_of_an_apps_own_may_have_other_names(supabase: Supabase, tmp_path: Path) -> None:
    source = table(tmp_path / "photos.csv", {"id": "7", "album": "wedding", "file": "a/b.jpg"})
    mapped = ["--column", "media_id=id", "--column", "event_id=album", "--column", "path=file"]
    run(tmp_path, source, *mapped, "--bucket", "photos")
    assert supabase.enqueued == [
        {"media_id": "7", "event_id": "wedding", "bucket": "photos", "path": "a/b.jpg"}
    ]


def test_a_table_of_the_app_is_read_in_pages(supabase: Supabase, tmp_path: Path) -> None:
    supabase.rows = [{"id": 1, "path": "one.jpg"}, {"id": 2, "path": "two.jpg"}]
    words = ["table:photos", "--column", "media_id=id", "--bucket", "b", "--event", "e"]
    run(tmp_path, *words)
    assert sorted(photo["path"] for photo in supabase.enqueued) == ["one.jpg", "two.jpg"]


def test_a_row_whose_id_is_0_has_that_id(supabase: Supabase, tmp_path: Path) -> None:
    supabase.rows = [
        {"id": 0, "album": 0, "path": "one.jpg"},
        {"id": None, "album": 1, "path": "2"},
    ]
    columns = ["--column", "media_id=id", "--column", "event_id=album"]
    run(tmp_path, "table:photos", *columns, "--bucket", "b", "--event", "e")
    assert {(photo["event_id"], photo["media_id"]) for photo in supabase.enqueued} == {
        ("0", "0"),
        ("1", "b/2"),
    }


def test_a_storage_bucket_is_walked_folder_by_folder(supabase: Supabase, tmp_path: Path) -> None:
    supabase.folders = {
        "": [{"name": "wedding", "id": None}, {"name": "loose.jpg", "id": "x"}],
        "wedding": [{"name": "late", "id": None}, {"name": "a.JPG", "id": "1"}],
        "wedding/late": [{"name": "b.heic", "id": "2"}, {"name": "clip.mp4", "id": "3"}],
    }
    run(tmp_path, "storage://photos", "--event-from-folder")
    found = {(photo["event_id"], photo["path"]) for photo in supabase.enqueued}
    assert found == {("wedding", "wedding/a.JPG"), ("wedding", "wedding/late/b.heic")}


def objects(*names: str) -> list[dict[str, object]]:
    return [{"name": name, "id": name} for name in names]


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["", "dry"])
def test_raw_files_and_names_without_an_ending_are_taken_and_the_rest_is_counted(
    supabase: Supabase, tmp_path: Path, dry: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    taken = ["5f0c3b1e-8b1f-4d5e-9a53-0d6b0c0f6a11", "DSC_1.NEF", "IMG.CR3", "p.dng", "c.HIF"]
    nothing = [".emptyFolderPlaceholder", "._IMG.CR3"]
    left_out = ["one.mp4", "two.MP4", "notes.pdf"]
    supabase.folders = {"": objects(*taken, *nothing, *left_out)}
    assert run(tmp_path, "storage://photos", "--event", "e", *dry) == 0
    told = capsys.readouterr()
    listed = [line.split("\t")[3] for line in told.out.splitlines()]
    assert [*listed, *(photo["path"] for photo in supabase.enqueued)] == taken
    assert told.err.splitlines()[-1] == "3 left out by their names: 2 × .mp4, 1 × .pdf"


def test_photos_in_no_folder_that_names_their_event_are_counted(
    supabase: Supabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    supabase.folders = {"": [{"name": "wedding", "id": None}, *objects("a.jpg", "b.jpg")]}
    supabase.folders["wedding"] = objects("c.jpg")
    run(tmp_path, "storage://photos", "--event-from-folder")
    assert "2 left out, in no folder that would name their event" in capsys.readouterr().err


def known(media_id: str, bucket: str, path: str, preview: str | None = None) -> dict[str, object]:
    """A photo as memoria_media tells it."""
    photo = {"media_id": media_id, "bucket": bucket, "path": path, "preview_path": preview}
    nothing = dict.fromkeys(("width", "height", "model", "error"))
    since = {"status": "pending", "created_at": "2026-11-29T12:00:00Z"}
    return {**photo, **nothing, **since, "faces": []}


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["", "dry"])
@pytest.mark.parametrize("how", [["--event", "e"], ["--event-from-folder"]], ids=" ".join)
def test_what_the_app_handed_over_by_itself_is_left_out_with_its_previews(
    supabase: Supabase, tmp_path: Path, dry: list[str], how: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    supabase.folders = {"": [{"name": "e", "id": None}], "e": objects("1", "1p", "2", "3")}
    supabase.events["e"] = [
        known("one", "photos", "e/1", "e/1p"),
        known("photos/e/2", "photos", "e/2"),
        known("three", "elsewhere", "e/3"),
    ]
    assert run(tmp_path, "storage://photos", *how, *dry) == 0
    told = capsys.readouterr()
    listed = [line.split("\t")[3] for line in told.out.splitlines()]
    assert [*listed, *(photo["path"] for photo in supabase.enqueued)] == ["e/2", "e/3"]
    assert "1 left out: their event has them under other ids" in told.err
    assert "1 left out: previews of photos of their event" in told.err


def test_of_what_is_journalled_no_event_is_read_again(supabase: Supabase, tmp_path: Path) -> None:
    supabase.folders = {"": [{"name": "e", "id": None}], "e": objects("1", "2")}
    assert run(tmp_path, "storage://photos", "--event-from-folder") == 0
    assert supabase.read == ["e"]
    supabase.read.clear()
    assert run(tmp_path, "storage://photos", "--event-from-folder") == 0
    assert supabase.read == []


def test_an_empty_folders_mark_in_google_cloud_storage_is_no_photo(
    supabase: Supabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_gcs", lambda *_: iter(["day/", "day/one"]))
    listed = inventory.items_of(arguments("gs://b", "--event", "e"), client(), LeftOut())
    assert [item.path for item in listed] == ["day/one"]


NAMES = ["a.jpg", "par/b.jpg", "party/1.jpg", "party/day/2.jpg", "party2/3.jpg", "party-x/4.jpg"]


@pytest.fixture
def bucket(supabase: Supabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same objects in Supabase Storage and in Google Cloud Storage."""
    for name in NAMES:
        folder, _, last = name.rpartition("/")
        supabase.folders.setdefault(folder, []).append({"name": last, "id": last})
    for folder in sorted(supabase.folders.keys() - {""}):
        above, _, last = folder.rpartition("/")
        supabase.folders[above].append({"name": last, "id": None})

    class Google:
        def list_blobs(self, _: str, prefix: str, **__: str) -> list[argparse.Namespace]:
            return [argparse.Namespace(name=name) for name in NAMES if name.startswith(prefix)]

    monkeypatch.setattr("google.cloud.storage.Client", Google)


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("scheme", ["storage", "gs"])
@pytest.mark.parametrize("prefix", ["party", "party/", "/party//"])
def test_a_prefix_is_a_folder_and_no_beginning_of_a_name(scheme: str, prefix: str) -> None:
    def listed(*how: str) -> set[tuple[str, str]]:
        words = arguments(f"{scheme}://photos/{prefix}", *how)
        return {(i.event_id, i.path) for i in inventory.items_of(words, client(), LeftOut())}

    assert listed("--event", "e") == {("e", "party/1.jpg"), ("e", "party/day/2.jpg")}
    assert listed("--event-from-folder") == {("day", "party/day/2.jpg")}


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("scheme", ["storage", "gs"])
def test_without_a_prefix_all_of_a_bucket_is_listed(scheme: str) -> None:
    words = arguments(f"{scheme}://photos", "--event", "e")
    assert {i.path for i in inventory.items_of(words, client(), LeftOut())} == set(NAMES)


@pytest.mark.parametrize("trouble", [OSError("no project"), ValueError("no such name")], ids=str)
def test_a_bucket_that_google_does_not_open_is_named(
    supabase: Supabase, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def client_of_google() -> None:
        raise trouble

    monkeypatch.setattr("google.cloud.storage.Client", client_of_google)
    listed = inventory.items_of(arguments("gs://photos", "--event", "e"), client(), LeftOut())
    with pytest.raises(InvalidRequest, match=f"gs://photos cannot be read: {trouble}"):
        list(listed)


def test_a_large_folder_takes_several_pages(supabase: Supabase, tmp_path: Path) -> None:
    supabase.folders = {"": [{"name": f"{i:04}.jpg", "id": str(i)} for i in range(1003)]}
    words = arguments("storage://photos", "--event", "e")
    listed = inventory.items_of(words, client(), LeftOut())
    assert len(list(listed)) == 1003


def client() -> Client:
    from memoria.config import Settings

    return open_client(
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


def test_a_crafted_id_marks_no_other_as_done(supabase: Supabase, tmp_path: Path) -> None:
    ids = ["a\u2028b", "c\rd", "e\nf", '"g"', "b", "d", "f", "g"]
    rows = [{"media_id": one, "event_id": "e", "bucket": "b", "path": "p.jpg"} for one in ids]
    run(tmp_path, table(tmp_path / "first.csv", *rows[:4]))
    run(tmp_path, table(tmp_path / "second.csv", *rows))
    taken = [one for one in ids if one not in ("c\rd", "e\nf")]  # as the database does
    assert sorted(photo["media_id"] for photo in supabase.enqueued) == sorted(taken)


def test_a_journal_that_was_cut_off_goes_on(supabase: Supabase, tmp_path: Path) -> None:
    rows = [{"media_id": one, "event_id": "e", "bucket": "b", "path": "p.jpg"} for one in "xyz"]
    (tmp_path / "journal").write_text('"x"\n"y')
    run(tmp_path, table(tmp_path / "photos.csv", *rows))
    assert sorted(photo["media_id"] for photo in supabase.enqueued) == ["y", "z"]


def test_each_source_of_each_project_has_a_journal_of_its_own(
    supabase: Supabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    row = {"media_id": "m", "event_id": "e", "bucket": "b", "path": "p.jpg"}
    for name in ("one.csv", "two.csv", "one.csv"):
        table(tmp_path / name, row)
        assert backfill.run(arguments(name, "--rate", "1000")) == 0
    assert len(supabase.enqueued) == 2
    assert len(list((tmp_path / "state" / "memoria").glob("backfill-*.journal"))) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.csv", "state", "two.csv"]


def test_another_event_and_another_database_have_a_journal_of_their_own(
    supabase: Supabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    supabase.folders = {"": objects("a.jpg")}

    def handed_over(event: str) -> str:
        assert backfill.run(arguments("storage://b", "--event", event)) == 0
        return capsys.readouterr().err

    assert "1 photo was enqueued" in handed_over("one")
    assert "1 photo was enqueued" in handed_over("two")
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_begun_anew")
    assert "1 photo was enqueued" in handed_over("one")
    told = handed_over("one")
    assert "0 photos were enqueued. 1 photo was enqueued before: to do so again, remove " in told


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["", "dry"])
def test_a_bucket_where_nothing_is_found_is_asked_about(
    supabase: Supabase, tmp_path: Path, dry: list[str]
) -> None:
    supabase.folders = {"": []}
    with pytest.raises(InvalidRequest, match="nothing was found in storage://nosuch: is there"):
        run(tmp_path, "storage://nosuch", "--event", "e", *dry)
    assert not (tmp_path / "journal").exists()


def test_names_in_a_dry_run_move_no_cursor_and_add_no_row(
    supabase: Supabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"media_id": "m", "event_id": "e", "bucket": "b", "path": "a\x1b[2J\tx\ne\tforged.jpg"}
    run(tmp_path, table(tmp_path / "p.csv", row), "--dry-run")
    [line] = capsys.readouterr().out.splitlines()
    assert line.split("\t") == ["e", "m", "b", r"a\x1b[2J\tx\ne\tforged.jpg"]


def test_a_csv_in_another_encoding_is_one_plain_sentence(
    supabase: Supabase, tmp_path: Path
) -> None:
    (tmp_path / "p.csv").write_bytes("media_id,path\n1,caf\xe9.jpg\n".encode("latin-1"))
    with pytest.raises(InvalidRequest, match=r"p\.csv is no CSV file in UTF-8"):
        run(tmp_path, str(tmp_path / "p.csv"), "--event", "e", "--bucket", "b")


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "fast"])
def test_a_rate_that_is_none_is_refused(rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments("photos.csv", "--rate", rate)
    assert "--rate" in capsys.readouterr().err


def test_a_table_that_is_not_there_is_one_plain_sentence(
    supabase: Supabase, tmp_path: Path
) -> None:
    supabase.refusal = {"code": "PGRST205", "message": "Could not find the table 'public.wrong'"}
    with pytest.raises(InvalidRequest, match="table:wrong cannot be read: Could not find"):
        run(tmp_path, "table:wrong", "--event", "e", "--bucket", "b")


def test_variables_that_are_not_set_come_from_the_env_file(
    supabase: Supabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(
        "\ufeff# ours\nexport SUPABASE_URL='http://never.example'  # not this one\n"
        'SUPABASE_SERVICE_ROLE_KEY="sb_secret_of_the_file" # a comment\r\nEMPTY=   # nothing\n'
    )
    monkeypatch.delenv("SUPABASE_SERVICE_ROLE_KEY")
    known = environment()
    assert known["SUPABASE_SERVICE_ROLE_KEY"] == "sb_secret_of_the_file"
    assert known["SUPABASE_URL"].startswith("http://127.0.0.1")
    assert known["EMPTY"] == ""
