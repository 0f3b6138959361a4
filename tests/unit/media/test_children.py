"""Decoding children: the same pixels, and nobody else's trouble."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memoria.errors import (
    Busy,
    EngineUnavailable,
    MediaTooLarge,
    MemoriaError,
    Transient,
    UnreadableMedia,
    UnsupportedMedia,
)
from memoria.media import open_photo
from memoria.media.budget import MIB, MemoryBudget
from memoria.media.channel import send
from memoria.media.child_process import ChildProcess
from memoria.media.children import Decoders
from tests.corpus.bombs import deflated_png, saved, scans

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux's memfd")


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    started = Decoders(2)
    yield started
    started.close()


@pytest.fixture
def impatient() -> Iterator[Decoders]:
    """One child that may use no more than a second of the processor for a photo."""
    started = Decoders(1, cpu_seconds=0.5, wait_seconds=2)  # the system counts whole ones
    yield started
    started.close()


def photo(width: int = 640, height: int = 480) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


GOOD = saved(photo(), "JPEG")
SLOW = scans(10_000, 2400, 480)  # 24 megapixels in 480 scans: several seconds, which a walk allows


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF"])
def test_pixels_are_those_of_this_process(decoders: Decoders, kind: str) -> None:
    boxes = [(0, 0, 64, 64), (3, 5, 640, 480), (600, 400, 640, 480)] * 20
    sizes = [(641, 483), (4001, 3003)] if kind == "JPEG" else [(641, 483)]
    for data in (saved(photo(*size), kind) for size in sizes):
        here = open_photo(data)
        with (
            decoders.opened(data) as there,
            there.loaded(200) as loaded,
            here.loaded(200) as expected,
        ):
            assert there.size == here.size
            assert loaded.reduction == expected.reduction
            assert loaded.corner == expected.corner
            np.testing.assert_array_equal(loaded.frame, expected.frame)
            for region, same in zip(loaded.regions(boxes), expected.regions(boxes), strict=True):
                np.testing.assert_array_equal(region, same)
        with decoders.opened(data) as there:
            np.testing.assert_array_equal(there.frame(), here.frame())


def test_errors_are_those_of_this_process(decoders: Decoders) -> None:
    with pytest.raises(UnsupportedMedia, match="PDF"), decoders.opened(b"%PDF-1.7"):
        pass
    with pytest.raises(MediaTooLarge, match="640 × 480"), decoders.opened(GOOD, 1000):
        pass
    damaged = saved(photo(), "PNG")[:3000]
    with pytest.raises(UnreadableMedia), decoders.opened(damaged) as opened:
        opened.frame()


def test_what_runs_away_is_ended_and_the_next_photo_is_read(impatient: Decoders) -> None:
    with pytest.raises(UnreadableMedia, match="took over"), impatient.opened(SLOW) as opened:
        opened.frame()
    with impatient.opened(GOOD) as opened:
        assert opened.frame().shape == (480, 640, 3)


def test_seconds_are_counted_for_each_photo(impatient: Decoders) -> None:
    data = saved(photo(3000, 2000), "PNG")
    for _ in range(12):  # more than a second in all
        with impatient.opened(data) as opened:
            assert opened.frame().shape == (2000, 3000, 3)


def signalled(decoders: Decoders, number: signal.Signals) -> np.ndarray:
    """A frame from a child that gets a signal before it is asked."""
    with decoders.opened(GOOD) as opened:
        opened.child._process.send_signal(number)
        return opened.frame()


def test_a_crash_is_the_photos_own(decoders: Decoders) -> None:
    with pytest.raises(UnreadableMedia, match="crashed"):
        signalled(decoders, signal.SIGSEGV)
    with decoders.opened(GOOD) as opened:
        assert opened.size == (640, 480)


def signalled_before_regions(decoders: Decoders, data: bytes) -> None:
    """A child that crashes after the frame, before the regions."""
    with decoders.opened(data) as opened, opened.loaded(640) as loaded:
        opened.child._process.send_signal(signal.SIGSEGV)
        list(loaded.regions([(0, 0, 64, 64)]))


def test_a_crash_in_the_second_decode_is_the_photos_own_too(decoders: Decoders) -> None:
    """Faces are cut out of a large JPEG that is decoded again."""
    large = saved(photo(4001, 3003), "JPEG")
    with pytest.raises(UnreadableMedia, match="crashed"):
        signalled_before_regions(decoders, large)


def test_what_the_system_kills_may_be_tried_again(decoders: Decoders) -> None:
    with pytest.raises(Transient) as killed:  # by what it read, as far as anybody can tell
        signalled(decoders, signal.SIGKILL)
    assert (killed.value.code, killed.value.policy) == ("temporarily_unavailable", "attempt")


def test_a_photo_is_read_to_its_end_while_the_service_is_stopped(decoders: Decoders) -> None:
    """Some supervisors send SIGTERM to every process; the server ends its photos first."""
    assert signalled(decoders, signal.SIGTERM).shape == (480, 640, 3)


def test_a_child_that_ends_behind_a_photo_does_not_cost_it(decoders: Decoders) -> None:
    for number in (signal.SIGSEGV, signal.SIGKILL):
        with decoders.opened(GOOD) as opened:
            frame = opened.frame()
            opened.child._process.send_signal(number)
            opened.child._process.wait()
        assert frame.shape == (480, 640, 3)


def test_a_crash_leaves_no_pixels_on_a_disk(decoders: Decoders) -> None:
    with decoders.opened(GOOD) as opened:
        limits = Path(f"/proc/{opened.child._process.pid}/limits").read_text().splitlines()
    soft = next(line.split()[4] for line in limits if line.startswith("Max core file size"))
    assert soft in {"0", "1"}


def test_a_place_is_not_lost_where_no_child_can_be_started(
    impatient: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as none:
        none.setattr(sys, "executable", "/nowhere/python")
        for _ in range(2):
            with pytest.raises((UnreadableMedia, EngineUnavailable)):
                signalled(impatient, signal.SIGSEGV)
    with impatient.opened(GOOD) as opened:
        assert opened.size == (640, 480)


@pytest.mark.parametrize("body", [b"\xff", b"[]", b'{"error": []}', b'{"error": "x"}'], ids=repr)
def test_a_place_is_not_lost_to_a_child_that_answers_nonsense(
    impatient: Decoders, body: bytes
) -> None:
    with impatient.opened(GOOD) as opened:
        ours, theirs = socket.socketpair()
        opened.child._channel.close()
        opened.child._channel = ours
        theirs.sendall(len(body).to_bytes(4, "big") + body)
    theirs.close()
    with impatient.opened(GOOD) as opened:
        assert opened.size == (640, 480)


def test_a_place_is_not_lost_whatever_happens(
    impatient: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with (
        monkeypatch.context() as patched,
        pytest.raises(KeyboardInterrupt),
        impatient.opened(GOOD),
    ):
        patched.setattr(ChildProcess, "ask", interrupted)
    with impatient.opened(GOOD) as opened:
        assert opened.size == (640, 480)


def times_open(wanted: Path) -> int:
    """How many of this process's descriptors are a file."""
    return sum(file.resolve() == wanted for file in Path("/proc/self/fd").iterdir())


def test_a_child_that_sends_a_descriptor_leaves_none_open(
    impatient: Decoders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = tmp_path / "sent"
    ours, theirs = socket.socketpair()
    with impatient.opened(GOOD) as opened, sent.open("wb") as file, ours, theirs:
        with monkeypatch.context() as instead:
            instead.setattr(opened.child, "_channel", ours)
            send(theirs, {"odd": 1}, file.fileno())
            assert opened.child.ask({"do": "plan"}) == {"odd": 1}
        assert times_open(sent) == 1


def test_a_child_that_died_with_nothing_to_do_costs_nobody_anything(decoders: Decoders) -> None:
    with decoders.opened(GOOD) as opened:
        process = opened.child._process
    process.kill()
    process.wait()
    with decoders.opened(GOOD) as opened:
        assert opened.size == (640, 480)


def test_a_bug_of_ours_costs_no_child_for_long(decoders: Decoders) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), decoders.opened(GOOD) as opened:
            assert opened.size[0] // 0
    with decoders.opened(GOOD) as opened:
        assert opened.size == (640, 480)


def test_a_bug_in_a_child_is_logged_with_its_traceback(
    decoders: Decoders, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(MemoriaError) as bug, decoders.opened(GOOD) as opened:
        opened.child.ask({"do": "something unheard of"})
    assert bug.value.policy == "attempt"
    (record,) = (r for r in caplog.records if r.message == "decoder_bug")
    assert record.levelname == "ERROR"
    assert "KeyError: 'something unheard of'" in record.__dict__["facts"]["traceback"]
    with decoders.opened(GOOD) as opened:
        assert opened.size == (640, 480)


def test_what_a_child_cannot_name_costs_an_attempt_and_not_the_photo() -> None:
    child = ChildProcess(5)
    with pytest.raises(MemoriaError, match="no photo is open") as bug:
        child.ask({"do": "plan", "min_side": None})
    child.end()
    assert bug.value.policy == "attempt"


def test_a_photo_waits_for_a_child_but_not_for_ever(impatient: Decoders) -> None:
    with (
        impatient.opened(GOOD),
        pytest.raises(Busy, match="busy"),
        impatient.opened(GOOD),
    ):
        pass


def test_a_photo_waits_for_memory_but_not_for_ever() -> None:
    budget = MemoryBudget(100 * MIB, 0)
    waiting = Decoders(1, wait_seconds=1, budget=budget)
    large = deflated_png(3000, 3000)
    with (
        budget.hold(90 * MIB),
        pytest.raises(Busy, match="memory"),
        waiting.opened(large) as opened,
    ):
        opened.frame()
    waiting.close()


def test_two_photos_are_read_at_once_and_more_wait(decoders: Decoders) -> None:
    with decoders.opened(GOOD), decoders.opened(GOOD):
        pass  # both are started by now
    shapes: list[tuple[int, ...]] = []
    at_once: list[int] = []
    inside: set[int] = set()

    def read(number: int) -> None:
        with decoders.opened(GOOD) as opened, opened.loaded(200) as loaded:
            inside.add(number)
            time.sleep(0.1)
            at_once.append(len(inside))
            shapes.append(loaded.frame.shape)
            inside.discard(number)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shapes) == 8
    assert max(at_once) == 2


def test_a_large_file_behind_a_small_one_is_read_as_in_a_fresh_child() -> None:
    large = GOOD + bytes(300 * MIB)
    other = Decoders(1)
    with other.opened(GOOD) as opened:
        opened.frame()
    with other.opened(large) as opened:
        assert opened.size == (640, 480)
    other.close()


def test_a_child_knows_no_secrets_and_ends_with_its_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "secret")
    other = Decoders(1)
    with other.opened(GOOD) as opened:
        process = opened.child._process
    assert b"SUPABASE" not in Path(f"/proc/{process.pid}/environ").read_bytes()
    opened.child._channel.close()
    assert process.wait(60) == 0


def test_the_system_holds_the_limit_of_memory() -> None:
    code = (
        "from memoria.media import child\n"
        "child.limit_memory(0)\n"
        "try: bytearray(child.SPARE_BYTES + 16 * child.MIB)\n"  # Python may give some back
        "except MemoryError: print('refused')\n"
    )
    run = [sys.executable, "-c", code]
    told = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout == "refused\n"
