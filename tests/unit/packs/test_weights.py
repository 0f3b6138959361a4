import hashlib
import io
import shutil
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from memoria.packs import weights
from memoria.packs.weights import PACKS, Pack, WeightsUnavailable, find_or_fetch, locate, main

SMALL_PACK = Path(__file__).parents[4] / "shared" / "models" / "scrfd2.5g_mobilefacenet"
needs_small_pack = pytest.mark.skipif(not SMALL_PACK.exists(), reason="the small pack is not here")

DETECTOR, RECOGNISER = b"detector" * 1000, b"recogniser" * 5000


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def archive(detector: bytes = DETECTOR, recogniser: bytes = RECOGNISER) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as pack:
        pack.writestr("tiny/det.onnx", detector)
        pack.writestr("tiny/rec.onnx", recogniser)
        pack.writestr("tiny/genderage.onnx", b"not wanted")
    return packed.getvalue()


class Release:
    """InsightFace's release on loopback; ``body`` is what it serves, None is a 404."""

    def __init__(self) -> None:
        self.body: bytes | None = archive()
        self.requests: list[str] = []
        release = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                release.requests.append(self.path)
                self.send_response(404 if release.body is None else 200)
                self.send_header("content-length", str(len(release.body or b"")))
                self.end_headers()
                self.wfile.write(release.body or b"")

            def log_message(self, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    served = Release()
    monkeypatch.setattr(weights, "RELEASES", served.url)
    pack = Pack(("det.onnx", sha256(DETECTOR)), ("rec.onnx", sha256(RECOGNISER)))
    monkeypatch.setitem(PACKS, "tiny", pack)
    yield served
    served.server.shutdown()
    served.server.server_close()


def test_only_the_two_needed_files_are_kept(release: Release, tmp_path: Path) -> None:
    folder = find_or_fetch("tiny", tmp_path / "tiny")
    assert {path.name for path in folder.iterdir()} == {"det.onnx", "rec.onnx"}
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


def test_wrong_bytes_are_refused_and_leave_nothing_behind(release: Release, tmp_path: Path) -> None:
    release.body = archive(recogniser=b"somebody else's")
    with pytest.raises(WeightsUnavailable, match=r"rec\.onnx: SHA-256 is"):
        find_or_fetch("tiny", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"det.onnx"}


@pytest.mark.parametrize("body", [b"no archive", archive()[:-100]])
def test_something_else_than_the_archive_is_refused(
    release: Release, tmp_path: Path, body: bytes
) -> None:
    release.body = body
    with pytest.raises(WeightsUnavailable, match="not the expected pack"):
        find_or_fetch("tiny", tmp_path)


def test_a_missing_release_is_told_plainly(release: Release, tmp_path: Path) -> None:
    release.body = None
    with pytest.raises(WeightsUnavailable, match=r"cannot fetch tiny\.zip"):
        find_or_fetch("tiny", tmp_path)


def test_without_a_network_the_answer_comes_within_seconds(
    release: Release, tmp_path: Path
) -> None:
    release.server.server_close()
    started = time.monotonic()
    with pytest.raises(WeightsUnavailable, match=r"cannot fetch tiny\.zip"):
        find_or_fetch("tiny", tmp_path)
    assert time.monotonic() - started < 15


def test_an_unknown_pack_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="buffalo_l"):
        find_or_fetch("buffalo_xl", tmp_path)


def test_every_known_pack_names_two_files_and_their_digests() -> None:
    for pack in PACKS.values():
        assert len(pack.files) == 2
        assert all(len(bytes.fromhex(digest)) == 32 for digest in pack.files.values())


@needs_small_pack
def test_an_unknown_pack_is_told_apart_by_its_shapes() -> None:
    found = locate(SMALL_PACK, "some pack")
    assert (found.detector.name, found.recogniser.name) == (
        "det_2.5g.onnx",
        "rec_mobilefacenet.onnx",
    )


@needs_small_pack
def test_half_a_pack_is_no_pack(tmp_path: Path) -> None:
    shutil.copy(SMALL_PACK / "det_2.5g.onnx", tmp_path)
    with pytest.raises(WeightsUnavailable, match="no detector and recogniser"):
        locate(tmp_path, "some pack")


def test_a_known_pack_is_found_by_its_file_names(release: Release, tmp_path: Path) -> None:
    find_or_fetch("tiny", tmp_path)
    assert locate(tmp_path, "tiny").detector == tmp_path / "det.onnx"


def test_the_image_build_gets_a_line_and_an_exit_status(
    release: Release, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--pack", "tiny"]) == 0
    assert "det.onnx, rec.onnx" in capsys.readouterr().out
    release.body = None
    assert main([str(tmp_path / "other"), "--pack", "tiny"]) == 1
    assert "cannot fetch" in capsys.readouterr().err
