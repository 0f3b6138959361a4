"""What is looked at before any work: the photos' folder and the answer's."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from local.demo import folders, run, system
from local.demo.folders import FolderError, answer_folder, look_into
from local.demo.report import show
from local.demo.weights import PackChoice
from local.processes.options import NEW_PROJECT_BYTES, ROOT, StackOptions
from local.processes.services import ServiceError


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def test_photos_are_told_by_their_endings_and_the_rest_is_counted(tmp_path: Path):
    fill(tmp_path, "a.JPG", "day 2/b.gif", "c.heic", "clip.mp4", "other.MP4", "raw.CR3", "notes")
    found = look_into(tmp_path)
    assert list(found.photos) == ["a.JPG", "c.heic", "day 2/b.gif", "raw.CR3"]
    assert found.others == {".mp4": 2, "no ending": 1}


def test_photos_that_are_too_large_or_cannot_be_read_are_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    fill(tmp_path, "a.jpg", "large.tif", "locked.jpg")
    (tmp_path / "large.tif").write_bytes(bytes(20))
    may_read = os.access
    closed = tmp_path / "locked.jpg"
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed and may_read(path, mode))
    monkeypatch.setenv("MAX_MEDIA_BYTES", "19")
    assert list(run._photos(str(tmp_path), tmp_path, Console(width=200))) == ["a.jpg"]
    told = capsys.readouterr().out
    assert "large.tif is left out: larger than MAX_MEDIA_BYTES" in told
    assert "locked.jpg is left out: cannot be read" in told


@pytest.mark.parametrize(("given", "most"), [("", 64_000_000), ("1000", NEW_PROJECT_BYTES)])
def test_storage_takes_what_the_functions_take(
    monkeypatch: pytest.MonkeyPatch, given: str, most: int
):
    def made(options: StackOptions) -> None:
        raise ServiceError(str(options.size_limit))

    monkeypatch.setattr(system, "Stack", made)
    monkeypatch.setenv("MAX_MEDIA_BYTES", given)
    with (
        pytest.raises(ServiceError, match=f"^{most}$"),
        system.running(PackChoice({}), Console(), home=None, ports={}, pages=False),
    ):
        pass


def test_a_limit_that_is_none_is_one_plain_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("MAX_MEDIA_BYTES", "64 MB")
    fill(tmp_path, "a.jpg")
    assert run.main(["--photos", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "MAX_MEDIA_BYTES: " in capsys.readouterr().out


def test_a_folder_below_ones_home_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "Pictures").mkdir()
    assert run.main(["--photos", "~/Pictures"]) == 1
    assert "There are no photos in" in capsys.readouterr().out


@pytest.mark.parametrize(("given", "meant"), [("photos", "PHOTOS"), ("first_port", "FIRST_PORT")])
def test_a_variable_of_make_in_small_letters_is_refused(given: str, meant: str):
    words = ["make", "-n", "demo", f"{given}=/some/where"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{given}=…: write it in capitals, {meant}=…" in done.stderr


def test_hidden_files_and_folders_are_left_alone(tmp_path: Path):
    fill(tmp_path, "a.jpg", ".b.jpg", ".thumbnails/c.jpg", "day/.trash/deep/d.jpg")
    assert list(look_into(tmp_path).photos) == ["a.jpg"]
    hidden = tmp_path / ".thumbnails"  # named by the user: then it is what they want
    assert list(look_into(hidden).photos) == ["c.jpg"]


def test_copies_of_a_photo_are_left_out_and_named(tmp_path: Path):
    fill(tmp_path, "a.jpg", "b.jpg", "sub/c.jpg")
    shutil.copy(tmp_path / "a.jpg", tmp_path / "z.jpg")
    (tmp_path / "b.jpg").write_bytes(b"A.jpg")  # as large as a.jpg, and another
    found = look_into(tmp_path)
    assert list(found.photos) == ["a.jpg", "b.jpg", "sub/c.jpg"]
    assert found.copies == {"z.jpg": "a.jpg"}


def test_names_that_are_no_text_are_shown_and_kept_apart(tmp_path: Path):
    for number in (0xFE, 0xFF):
        Path(os.fsdecode(bytes(tmp_path) + b"/a" + bytes([number]) + b".jpg")).write_bytes(
            bytes([number])
        )
    assert list(look_into(tmp_path).photos) == ["a\ufffd.jpg", "a\ufffd.jpg (2)"]


@pytest.mark.parametrize("name", ["file", "file/below", "bad\udcff"])
def test_an_answer_that_could_not_be_written_is_found_at_once(tmp_path: Path, name: str):
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="OUT: "):
        answer_folder(str(tmp_path / name), {}, tmp_path / "state")


def test_a_full_disk_is_found_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(folders, "ANSWER_MB", 10**9)
    with pytest.raises(FolderError, match="MB left, and the demo needs 1000000000"):
        answer_folder(str(tmp_path), {}, tmp_path / "state")


def test_the_demo_looks_at_out_before_it_starts_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(run, "choose_pack", never)
    fill(tmp_path / "photos", "[bold]a[/nope].jpg", "b.mp4")
    (tmp_path / "out").touch()
    assert run.main(["--photos", str(tmp_path / "photos"), "--out", str(tmp_path / "out")]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "is a file" in told
    assert "1 × .mp4" in told


def test_what_stands_in_a_name_is_no_markup_and_moves_no_cursor(tmp_path: Path):
    name = "[red]a[/nope]\x1b[2J.jpg"
    person = {"name": "[b]Ann\x1b[2J", "photos": [name], "avg_quality": 0.5, "face_count": 3}
    failed = {"faces": [], "error": {"message": "no [b]photo[/b]"}}
    console = Console(width=200, record=True, highlight=False)
    show({"people": [person], "photos": {name: failed}, "model": "m"}, tmp_path / "[i]out", console)
    told = console.export_text()
    assert r"[b]Ann\x1b[2J" in told
    assert told.count(r"[red]a[/nope]\x1b[2J.jpg") == 2
    assert "no [b]photo[/b]" in told
    assert "[i]out/people.json" in told
    assert "\x1b" not in told
