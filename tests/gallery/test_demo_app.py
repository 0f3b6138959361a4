"""`make demo` on a terminal serves the app on what it found; names typed there stay."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from tests.data import any_pack, photo_of_six
from tests.documents import ROOT
from tests.gallery.conftest import Visit, sign_in
from tests.states import state_folder

pytestmark = [pytest.mark.system, pytest.mark.slow]


@contextmanager
def demo(photos: Path, out: Path, state: Path) -> Iterator[str]:
    """The app's address, until Ctrl-C; it ends well."""
    leader, terminal = pty.openpty()
    environ = {
        "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}", "MODEL_DIR": str(any_pack()), "TERM": "xterm",
        "MEMORIA_STATE": str(state), "COLUMNS": "200", "APP": "",
    }  # fmt: skip
    command = ["-m", "local.demo", "--photos", str(photos), "--out", str(out)]
    with subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=os.environ | environ,
        stdin=terminal, stdout=terminal, stderr=terminal,
    ) as running:  # fmt: skip
        os.close(terminal)
        try:
            said = _read_until(leader, "Ctrl-C ends it")
            address = re.search(r"http://127\.0\.0\.1:\d+/gallery/", said)
            assert address, said
            yield address[0]
        finally:
            running.send_signal(signal.SIGINT)
            _read_until(leader, None)
            os.close(leader)
        assert running.wait(60) == 0


def _read_until(leader: int, words: str | None) -> str:
    """What a program writes on a terminal, until some words or its end."""
    said = ""
    while words is None or words not in said:
        try:
            part = os.read(leader, 4096)
        except OSError:  # nobody has the other end
            part = b""
        said += part.decode(errors="replace")
        if not part:
            assert words is None, said
            break
    return said


def people_of(visiting: Visit, address: str) -> Page:
    """The host's page of the folder's people."""
    url = urlsplit(address)
    visiting.origin = f"{url.scheme}://{url.netloc}"
    page = sign_in(visiting)
    page.get_by_role("link", name="my photos").click()
    page.get_by_role("heading", name="People", level=1).wait_for()
    return page


def test_a_name_typed_in_the_app_is_there_after_the_next_run(
    visit: Callable[..., Visit], tmp_path: Path
) -> None:
    photos, out = tmp_path / "my photos", tmp_path / "out"
    photos.mkdir()
    for number in range(3):
        (photos / f"{number}.jpg").write_bytes(photo_of_six() + bytes([number]))
    found = []
    with state_folder() as state:
        with demo(photos, out, state) as address:
            field = people_of(visit(), address).get_by_label("Name of this person").first
            field.fill("Ann")
            field.press("Enter")
            field.page.get_by_text("Named Ann").wait_for()
            field.page.close()
            found.append(json.loads((out / "people.json").read_text()))
        assert (out / "index.html").exists()
        with demo(photos, out, state) as address:
            page = people_of(visit(), address)
            page.get_by_label("Name of Ann").wait_for()
            assert page.get_by_label("Name of this person").count() == 5
            page.close()
            found.append(json.loads((out / "people.json").read_text()))
    first, second = ({person["person_id"] for person in one["people"]} for one in found)
    assert first == second
    assert len(first) == 6
