"""One running stack for everything that an app does, and node to do it with."""

import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.processes.stack import Stack, StackOptions
from tests.data import any_pack, photo_of_six
from tests.documents import ROOT
from tests.npm import FOLDER, SUPABASE_JS, package

TYPESCRIPT = "typescript@5"
OWNER = str(uuid.UUID(int=1))
# how many people photo_of_six shows, and how many photos of them there are
PEOPLE, PHOTOS = 6, 3


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """The whole system; the owner's photo of six people lies three times in ``photos``."""
    options = StackOptions(
        environ={"MODEL_DIR": str(any_pack()), "SEARCH": "on", "SEARCH_ORIGINS": "*"},
        settings={"quiet_period_seconds": 0.2},
        sweep_seconds=1,
    )
    with Stack(options) as stack:
        bucket = stack.client().storage
        bucket.create_bucket("photos")
        bucket.create_bucket("samples", options={"public": True})
        bucket.from_("samples").upload("group.jpg", photo_of_six())
        bucket.from_("photos").upload("sample/group.jpg", photo_of_six())  # as `make serve` has it
        for number in range(PHOTOS):
            bucket.from_("photos").upload(f"{number}.jpg", photo_of_six())
        with psycopg.connect(stack.database_url) as connection:
            connection.execute("update storage.objects set owner_id = %s", (OWNER,))
        yield stack


@pytest.fixture(scope="package")
def app(stack: Stack) -> dict[str, Any]:
    """What a program of an app is told, as the JSON of its environment's APP."""
    return {
        "url": stack.supabase_url,
        "key": stack.keys.publishable,
        "secret": stack.keys.secret,
        "owner": OWNER,
        "accessToken": stack.keys.user_token(OWNER),
        "searchUrl": stack.process_url,
        "database": stack.database_url,
    }


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder in which programs find supabase-js, TypeScript and Memoria's client."""
    package(SUPABASE_JS)
    package(TYPESCRIPT)
    folder = FOLDER / f"app-{uuid.uuid4()}"
    folder.mkdir()
    for name in ("memoria.js", "memoria.d.ts"):
        shutil.copy(ROOT / "clients" / name, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def node(folder: Path, app: dict[str, Any]) -> Callable[..., Any]:
    """``node("program.js", event="gala")`` -> the JSON that it prints last."""

    def run(program: str, **more: Any) -> Any:
        environ = {"APP": json.dumps(app | more), "PATH": "/usr/bin:/bin"}
        executable = shutil.which("node") or pytest.skip("needs node")
        done = subprocess.run(
            [executable, "--experimental-websocket", program], cwd=folder, env=environ,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads((done.stdout.splitlines() or ["null"])[-1])

    return run


@pytest.fixture(scope="module")
def tsc(folder: Path) -> Callable[..., None]:
    """``tsc("one.ts", "other.ts")``: their types hold; compiled beside themselves, once."""

    @cache
    def compile_(*programs: str) -> None:
        compiler = FOLDER / "node_modules" / "typescript" / "bin" / "tsc"
        options = ["--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck"]
        options += ["--lib", "es2022,dom,dom.iterable"]
        done = subprocess.run(
            ["node", str(compiler), *options, *programs], cwd=folder, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout

    return compile_
