"""docs/your-app.md, followed to the letter in an empty folder, and used in a real browser.

A fence under a line that ends with a file's name in backticks goes into that file; sh is run.
Beside the folder lies a clone, as far as the page asks for one, whose system is `make serve`'s.
Run by ``make soak``.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Dialog, FilePayload, Page, Route, expect, sync_playwright
from rich.console import Console

from local.demo.ports import PORTS
from local.demo.system import System, describe, running
from local.demo.weights import PackChoice
from local.processes.home import Home
from local.processes.postgres import free_port
from tests.clients.conftest import OWNER, PEOPLE, PHOTOS
from tests.clients.test_snippets import selfie
from tests.data import any_pack, photo_of_six
from tests.documents import ROOT, page
from tests.states import state_folder
from tests.system.test_gallery import BROWSER

pytestmark = [
    pytest.mark.npm,
    pytest.mark.system,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt-get install chromium"),
]
FENCE = re.compile(r"(?:`([^`\n]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATIENCE_MS = 60_000
_READY = "document.querySelector('#close').onclick !== null"  # the last lines of main.js
_SPOIL = """
    const name = Object.keys(localStorage).find(name => name.endsWith('-auth-token'))
    const session = JSON.parse(localStorage[name])
    session.access_token = session.access_token.slice(0, -20) + 'x'.repeat(20)
    localStorage[name] = JSON.stringify(session)
"""


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    """What the page calls ``../memoria``; its state is not there yet."""
    with state_folder() as folder:
        memoria = folder / "memoria"
        memoria.mkdir()
        (memoria / "clients").symlink_to(ROOT / "clients")
        (memoria / ".venv").symlink_to(sys.prefix)
        yield memoria


@pytest.fixture(scope="module")
def system(clone: Path) -> Iterator[System]:
    """As ``make serve`` starts it, with ports that are free."""
    home = Home(clone / ".local-state").take()
    console = Console(quiet=True)
    ports = {name: free_port() for name in PORTS}
    pack = PackChoice({"MODEL_DIR": str(any_pack())})
    with running(pack, console, home=home, ports=ports, pages=False) as system:
        describe(system, home, console)
        yield system


@pytest.fixture(scope="module")
def app(clone: Path, system: System) -> Iterator[str]:
    """The app that the page makes, served: its address."""
    folder = clone.with_name("my-app")
    folder.mkdir()
    for name, language, text in FENCE.findall(page("docs/your-app.md")):
        if name:
            file = next(folder.glob(name.replace("…", "*")), folder / name)
            with file.open("a") as opened:
                opened.write(text)
        elif language == "sh":
            run(text, folder)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def run(script: str, folder: Path) -> None:
    """Raises AssertionError with what the script said."""
    if shutil.which("npm") is None:
        pytest.skip("needs npm: the app's packages cannot be installed")
    command = ["bash", "-euo", "pipefail", "-c", script]
    environ = os.environ | {"DO_NOT_TRACK": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, script + done.stdout + done.stderr


@pytest.fixture
def visit() -> Iterator[Page]:
    """A browser's page; nothing is wrong on it when the test ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        visit = browser.new_context().new_page()
        wrong: list[str] = []
        visit.on("pageerror", lambda error: wrong.append(str(error)))
        yield visit
        browser.close()
    assert wrong == []


def picture(data: bytes, name: str = "photo.jpg") -> FilePayload:
    return {"name": name, "mimeType": "image/jpeg", "buffer": data}


def people_of(system: System, party: str) -> list[dict[str, Any]]:
    answer: Any = system.stack.client().rpc("memoria_people", {"p_event_id": party}).execute().data
    found: list[dict[str, Any]] = answer["people"]
    return found


def _careful(visit: Page) -> None:
    """What fails is said and can be tried again; of two quick taps the last one is shown."""
    undo, name = visit.locator("#undo"), visit.locator("[name=name]")
    said: list[str] = []

    def hear(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    visit.on("dialog", hear)
    visit.route("**/rpc/memoria_undo", lambda route: route.abort())
    with visit.expect_event("dialog"):
        undo.click()
    assert said == ["There is no connection. Try again."]
    expect(undo).to_be_visible()
    visit.unroute("**/rpc/memoria_undo")
    late: list[Route] = []

    def hold(route: Route) -> None:
        late.append(route)

    visit.route("**/rpc/memoria_person_photos", hold)
    faces = visit.locator("#people button")
    faces.filter(has_text="Ann").click()
    faces.filter(has_not_text="Ann").first.click()
    expect(visit.locator("#person")).to_be_hidden()
    while len(late) < 2:
        visit.wait_for_timeout(20)
    for route in reversed(late):
        with visit.expect_response("**/object/sign/**"):
            route.continue_()
    visit.unroute("**/rpc/memoria_person_photos")
    expect(name).to_have_value("")
    expect(name).to_have_attribute("maxlength", "200")
    visit.select_option("[name=same]", label="Ann")
    expect(name).to_be_disabled()
    visit.select_option("[name=same]", "")
    expect(name).to_be_enabled()


def _add_photos(visit: Page) -> None:
    """Two in which nobody is a person yet, then the rest, and one that is none."""
    photos = [picture(photo_of_six() + bytes([number])) for number in range(PHOTOS)]
    visit.set_input_files("#files", photos[:2])
    expect(visit.locator("#people")).to_have_text("Nobody is in three photos yet.")
    visit.set_input_files("#files", [*photos[2:], picture(b"", "empty.jpg")])
    expect(visit.locator("#people button")).to_have_count(PEOPLE)
    expect(visit.locator("#failures")).to_contain_text("empty.jpg cannot be used: ")
    expect(visit.locator("#progress")).to_have_text("All photos are done.")


def _storage_refuses(app: str, visit: Page) -> None:
    """What keeps faces from being shown is said."""
    page = visit.context.new_page()  # an error is nothing wrong there
    refusal = {"statusCode": "403", "error": "Unauthorized", "message": "no policy lets you"}
    page.route("**/object/sign/**", lambda route: route.fulfill(status=400, json=refusal))
    page.goto(f"{app}/index.html")
    expect(page.locator("#progress")).to_have_text("That did not work: no policy lets you")


def _close_and_open(visit: Page) -> None:
    """A closed party and photos that failed are told after a reload; it can be opened again."""
    closed = visit.locator("#closed")
    visit.click("#close")
    expect(closed).to_be_visible()
    visit.reload()
    expect(visit.locator("#failures")).to_have_text(re.compile("^A photo cannot be used: .+"))
    expect(closed).to_be_visible()
    for name in ("#files", "#invite"):
        expect(visit.locator(name)).to_be_disabled()
    visit.click("text=Open it again")
    expect(closed).to_be_hidden()
    expect(visit.locator("#files")).to_be_enabled()
    expect(visit.locator("#people button").filter(has_text="Ann")).to_have_count(1)


def test_the_page_makes_an_app(app: str, system: System, visit: Page) -> None:
    visit.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    visit.goto(f"{app}/index.html")
    visit.wait_for_function(_READY)
    faces, album = visit.locator("#people button"), visit.locator("#photos img")
    _add_photos(visit)
    assert "url(" in str(faces.first.locator("span").get_attribute("style"))

    faces.first.click()  # a person's photos
    expect(album).to_have_count(PHOTOS)
    visit.wait_for_function("[...document.images].every((image) => image.naturalWidth)")
    visit.fill("[name=name]", "Ann")
    visit.click("text=Save")
    ann, others = faces.filter(has_text="Ann"), faces.filter(has_not_text="Ann")
    expect(ann).to_have_count(1)

    others.first.click()  # another one is Ann, too
    visit.select_option("[name=same]", label="Ann")
    visit.click("text=Save")
    expect(faces).to_have_count(PEOPLE - 1)
    expect(album).to_have_count(0)  # theirs is no longer theirs
    ann.click()
    expect(album).to_have_count(PHOTOS)
    visit.click("#undo")
    expect(faces).to_have_count(PEOPLE)
    expect(album).to_have_count(0)

    _careful(visit)

    visit.reload()  # the same user, the same party
    expect(ann).to_have_count(1)
    _storage_refuses(app, visit)

    visit.click("#invite")
    expect(visit.locator("#link")).to_be_visible()
    link = visit.locator("#link").get_attribute("href")
    with psycopg.connect(system.stack.database_url) as connection:
        parties = connection.execute("select id::text from public.parties").fetchall()
    ((party,),) = parties
    guest = visit.context.new_page()
    guest.goto(f"{app}/find.html")
    expect(guest.locator("#said")).to_contain_text("not complete")
    expect(guest.locator("#selfie")).to_be_disabled()
    guest.goto(f"{app}/{link}")
    expect(guest.locator("#selfie")).to_be_enabled()
    face = bytes.fromhex(selfie(people_of(system, party)[0]))
    guest.set_input_files("#selfie", picture(face))
    expect(guest.locator("#said")).to_have_text("Here you are:")
    expect(guest.locator("#photos img")).to_have_count(PHOTOS)

    guest.route(f"{system.stack.process_url}/search**", lambda _: None)  # no answer: no old one
    guest.set_input_files("#selfie", picture(face))
    expect(guest.locator("#said")).to_have_text("Looking…")
    expect(guest.locator("#photos img")).to_have_count(0)

    _close_and_open(visit)


def test_the_pages_rule_leaves_other_events_to_their_owners(app: str, system: System) -> None:
    arguments = {"p_event_id": "of another app", "p_owner_id": OWNER}
    system.stack.client().rpc("memoria_create_event", arguments).execute()
    with psycopg.connect(system.stack.database_url) as connection:
        claims = json.dumps({"sub": OWNER, "role": "authenticated"})
        connection.execute("select set_config('request.jwt.claims', %s, false)", (claims,))
        connection.execute("set role authenticated")
        connection.execute("select public.memoria_event_status('of another app')")


def test_the_backend_lets_a_guest_in(app: str, system: System) -> None:
    """By the page's one line, with the service key; a stranger is still one."""
    admin = system.stack.client()
    party, guest = str(uuid.uuid4()), str(uuid.uuid4())
    with psycopg.connect(system.stack.database_url, autocommit=True) as connection:
        made = "insert into public.parties (id, owner_id, name) values (%s, %s, 'Ours')"
        connection.execute(made, (party, OWNER))
        admin.rpc("memoria_create_event", {"p_event_id": party, "p_owner_id": OWNER}).execute()
        admin.table("guests").insert({"party_id": party, "user_id": guest}).execute()
        connection.execute("set role authenticated")

        def look(user: str) -> None:
            claims = json.dumps({"sub": user, "role": "authenticated"})
            connection.execute("select set_config('request.jwt.claims', %s, false)", (claims,))
            connection.execute("select public.memoria_event_status(%s)", (party,))

        look(guest)
        with pytest.raises(psycopg.DatabaseError, match="event"):
            look(str(uuid.uuid4()))


def test_the_pages_table_can_be_backfilled_from(app: str, system: System) -> None:
    system.stack.client().table("pictures").select("id").limit(1).execute()


def test_the_client_can_be_imported_in_node(app: str, clone: Path) -> None:
    run("echo \"import './memoria.js'\" > once.js && node once.js", clone.with_name("my-app"))


def test_nothing_is_written_where_nothing_is_served_yet(tmp_path: Path) -> None:
    block = next(
        text for _, language, text in FENCE.findall(page("docs/your-app.md")) if language == "sh"
    )
    last = block[block.index(". ../memoria") :]
    done = subprocess.run(["bash", "-c", last], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode != 0
    assert list(tmp_path.iterdir()) == []


def test_a_session_that_no_longer_holds_begins_anew(app: str, visit: Page) -> None:
    """The browser kept one of a project that is gone."""
    visit.goto(f"{app}/index.html")
    visit.wait_for_function(_READY)
    visit.evaluate(_SPOIL)
    visit.reload()
    visit.wait_for_function(_READY)


def test_why_nobody_can_sign_in_is_said(app: str, visit: Page) -> None:
    """As a project on Supabase refuses it, until that is allowed."""
    page = visit.context.new_page()  # an error is nothing wrong there
    refusal = {"code": "anonymous_provider_disabled", "message": "Anonymous sign-ins are disabled"}
    page.route("**/auth/v1/signup", lambda route: route.fulfill(status=422, json=refusal))
    page.goto(f"{app}/index.html")
    said = "That did not work: Anonymous sign-ins are disabled"
    expect(page.locator("#progress")).to_have_text(said)


def test_the_pages_are_as_wide_as_a_phone(app: str, visit: Page) -> None:
    browser = visit.context.browser
    assert browser
    phone = browser.new_page(viewport={"width": 390, "height": 844}, is_mobile=True)
    for name in ("index.html", "find.html"):
        phone.goto(f"{app}/{name}")
        assert phone.evaluate("innerWidth") == 390, name
