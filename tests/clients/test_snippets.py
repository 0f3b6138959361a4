"""The snippets of README and docs/, run as they are printed, in their order, on the running stack.

A fenced block in js, ts, py, sql or sh is run; what cannot be (it needs Docker, or an account) is a
``console``. What a page takes for granted, such as ``event``, is given here, page by page.
"""

import io
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from local.processes.postgres_files import binaries
from local.processes.stack import Stack
from tests.chaos.photos import Photo
from tests.clients.conftest import OWNER, PHOTOS
from tests.data import SMALL_PACK, photo_of_six
from tests.documents import ROOT, page

pytestmark = pytest.mark.npm
EVENT = "my-event"
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
PAGES.remove("docs/your-app.md")  # your_app.py, run by make soak, makes the app of it
FENCE = re.compile(r"^( *)```(js|ts|py|sql|sh)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def snippets(name: str, *languages: str) -> str:
    """A page's snippets in these languages, one after the other."""
    found = FENCE.findall(page(name))
    return "\n".join(textwrap.dedent(text) for _, language, text in found if language in languages)


def pages(*languages: str) -> list[str]:
    return [name for name in PAGES if snippets(name, *languages)]


@pytest.fixture(scope="module")
def event(stack: Stack) -> dict[str, Any]:
    """The owner's event, looked at and grouped, and a link for its guests."""
    client = stack.client()

    def call(name: str, **arguments: Any) -> Any:
        named = {f"p_{key}": value for key, value in arguments.items()}
        return client.rpc(f"memoria_{name}", named).execute().data

    call("create_event", event_id=EVENT, owner_id=OWNER)
    for number in range(PHOTOS):
        place = {"bucket": "photos", "path": f"{number}.jpg"}
        call("enqueue", event_id=EVENT, media_id=f"snippet {number}", **place)
    place = {"bucket": "samples", "path": "group.jpg"}  # as `make serve` has it
    call("enqueue", event_id="sample", media_id="group.jpg", **place)
    deadline = time.monotonic() + 90
    for name in (EVENT, "sample"):
        while not (
            (status := call("event_status", event_id=name))["done"] and status["clustered_at"]
        ):
            assert time.monotonic() < deadline, status
            time.sleep(0.2)
    person = call("people", event_id=EVENT)["people"][0]
    token = call("create_search_link", event_id=EVENT)["token"]
    picture = selfie(person)
    client.storage.from_("samples").upload("selfie.jpg", bytes.fromhex(picture))
    return {"event": {"id": EVENT}, "person": person, "token": token, "selfie": picture}


def selfie(person: dict[str, Any]) -> str:
    """One face cut out of the photo that everybody is in, or painted like it, as a JPEG in hex."""
    if not SMALL_PACK.exists():
        painted = Photo("six", 1, seed=0, people=(0,)).data()
        assert painted is not None
        return painted.hex()
    box = person["cover"]["bbox"]
    with Image.open(io.BytesIO(photo_of_six())) as photo:
        width, height = photo.size
        left, top = (box["x"] - box["w"] / 4) * width, (box["y"] - box["h"] / 4) * height
        right, bottom = left + 1.5 * box["w"] * width, top + 1.5 * box["h"] * height
        face = photo.convert("RGB").crop((int(left), int(top), int(right), int(bottom)))
    file = io.BytesIO()
    face.save(file, "JPEG", quality=95)
    return file.getvalue().hex()


GIVEN = (Path(__file__).parent / "given.ts").read_text()
# until what a page follows was told
ENDING = """
const told = () => %s
const late = Date.now() + 30_000
while (!told() && Date.now() < late) await new Promise((done) => setTimeout(done, 50))
if (!told()) throw new Error(JSON.stringify(logged))
process.exit(0)
"""
ALL = "JSON.stringify(logged)"
TOLD = {
    "README.md": f"logged.some((said) => said.length === 3) && / to go/.test({ALL})",
    "docs/client.md": f"logged.some(([all]) => Array.isArray(all)) && /sure/.test({ALL})",
}


@pytest.fixture(scope="module")
def programs(folder: Path, tsc: Callable[..., None]) -> dict[str, str]:
    """The program that a page's snippets make, compiled; by page."""
    made = {name: Path(name).stem.lower() for name in pages("js", "ts")}
    for name, program in made.items():
        text = GIVEN + snippets(name, "js", "ts") + ENDING % TOLD.get(name, "true")
        (folder / f"{program}.ts").write_text(text)
    tsc(*(f"{program}.ts" for program in made.values()))
    return {name: f"{program}.js" for name, program in made.items()}


@pytest.mark.parametrize("name", pages("js", "ts"))
def test_snippets_for_browsers_hold_their_types_and_run(
    programs: dict[str, str], node: Callable[..., Any], event: dict[str, Any], name: str
) -> None:
    node(programs[name], **event)


@pytest.mark.parametrize("name", pages("py"))
def test_snippets_for_python_run(
    stack: Stack, app: dict[str, Any], event: dict[str, Any], name: str
) -> None:
    supabase = stack.client(app["key"], app["accessToken"])
    exec(snippets(name, "py"), {"supabase": supabase, "event_id": event["event"]["id"]})


TABLE = """
create table if not exists public.my_photos (
  id uuid primary key default gen_random_uuid(),
  event_id uuid, storage_path text, event_owner_id uuid
);
"""


@pytest.mark.parametrize("name", pages("sql"))
def test_snippets_for_the_database_run(stack: Stack, event: dict[str, Any], name: str) -> None:
    assert event
    psql = [str(binaries() / "psql"), stack.database_url, "--no-psqlrc", "--set=ON_ERROR_STOP=1"]
    ran = subprocess.run(
        psql, input=TABLE + snippets(name, "sql"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("name", pages("sh"))
def test_snippets_for_a_shell_run(
    stack: Stack, event: dict[str, Any], tmp_path: Path, name: str
) -> None:
    """Against this stack's addresses, in the place of those of ``make serve``."""
    (tmp_path / "selfie.jpg").write_bytes(bytes.fromhex(event["selfie"]))
    script = snippets(name, "sh")
    places = {
        "http://127.0.0.1:8081": stack.process_url,
        "http://127.0.0.1:8082": stack.cluster_url,
        "http://127.0.0.1:8083": stack.supabase_url,
        "local-webhook-secret": stack.webhook_secret,
    }
    for printed, here in places.items():
        script = script.replace(printed, here)
    state = tmp_path / ".local-state"
    state.mkdir()
    (state / "env").write_text("".join(f"export {k}={v!r}\n" for k, v in settings(stack).items()))
    (tmp_path / ".venv").symlink_to(sys.prefix)
    head = "set -euo pipefail\ncurl() { command curl -sSf --noproxy '*' \"$@\"; }\n"
    environ = os.environ | {"TOKEN": event["token"], "SEARCH_URL": stack.process_url}
    environ["PATH"] = f"{binaries()}:{environ['PATH']}"  # psql
    ran = subprocess.run(
        ["bash", "-c", head + script], cwd=tmp_path, env=environ, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr + ran.stdout


def settings(stack: Stack) -> dict[str, str]:
    """What a shell sources of ``make serve``."""
    return {
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_SERVICE_ROLE_KEY": stack.keys.secret,
        "PROCESS_URL": stack.process_url,
        "CLUSTER_URL": stack.cluster_url,
        "SEARCH_URL": stack.process_url,
        "WEBHOOK_SECRET": stack.webhook_secret,
        "CALLBACK_URL": stack.callback_url,
        "CALLBACK_SECRET": stack.callback_secret,
        "DATABASE_URL": stack.database_url,
        "XDG_STATE_HOME": str(stack.folder),
    }
