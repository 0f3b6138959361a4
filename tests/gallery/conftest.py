"""One system and one browser for the example app; however a test ends, its pages have kept quiet.

``SCREENSHOTS=folder`` has ``look`` write what it saw: at 390 and 1280 pixels and on a phone that is
held across, light and dark.
"""

import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from local.demo.system import HOST_EMAIL, HOST_PASSWORD
from local.processes.pages import START
from local.processes.stack import Stack, StackOptions
from tests.data import any_pack
from tests.documents import ROOT
from tests.gallery.party import Looks, Party, make_crowd, make_party, store_looks
from tests.npm import package

AXE = "axe-core@4.14.1"
SIZES = {"390": (390, 844), "1280": (1280, 800), "landscape": (844, 390)}
PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)
STILL = 0.005  # of the layout's shifts; 0.1 is what browsers call good
_SHIFTS = """
    window.shifted = 0
    new PerformanceObserver(list => {
      for (const one of list.getEntries()) if (!one.hadRecentInput) window.shifted += one.value
    }).observe({ type: 'layout-shift', buffered: true })
"""
_TOO_HIGH = """
    [...document.querySelectorAll('dialog, .frame, .bar, video')]
      .filter(one => one.offsetHeight > innerHeight).map(one => one.className || one.tagName)
"""


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole system, as ``make serve`` starts it, with the app and its own migration."""
    options = StackOptions(
        environ={"MODEL_DIR": str(any_pack()), "SEARCH": "on", "SEARCH_ORIGINS": "*"},
        settings={"quiet_period_seconds": 0.2, "callbacks": False},
        sweep_seconds=1,
        app_sql=ROOT / "local" / "demo" / "app.sql",
        pages=True,
    )
    with Stack(options) as stack:
        yield stack


@pytest.fixture(scope="session")
def users(stack: Stack) -> dict[str, str]:
    """Ids by what they are: the host of every event here, a friend, and a stranger."""
    emails = {"host": HOST_EMAIL, "friend": "friend@example.com", "stranger": "who@example.com"}
    return {who: _sign_up(stack, email) for who, email in emails.items()}


def _sign_up(stack: Stack, email: str) -> str:
    url = f"{stack.supabase_url}/auth/v1/signup"
    about = {"email": email, "password": HOST_PASSWORD}
    answer = httpx.post(url, json=about, headers={"apikey": stack.keys.publishable})
    return str(answer.raise_for_status().json()["user"]["id"])


@pytest.fixture(scope="session")
def database(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    """As the role postgres."""
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def looks(stack: Stack, users: dict[str, str]) -> Looks:
    """The photos that seeded events share."""
    return store_looks(stack, users["host"])


@pytest.fixture
def party(database: psycopg.Connection[Any], looks: Looks) -> Iterator[Party]:
    """A small event of this test's own: change it as you like."""
    made = make_party(database, looks, f"party-{uuid.uuid4().hex[:8]}")
    yield made
    database.execute("delete from memoria.events where id = %s", (made.event_id,))


@pytest.fixture
def event(database: psycopg.Connection[Any], users: dict[str, str]) -> Iterator[str]:
    """An empty one of the host's."""
    yield from empty_event(database, users["host"])


def empty_event(database: psycopg.Connection[Any], owner_id: str) -> Iterator[str]:
    """Its id. It goes with the test."""
    made = f"empty-{uuid.uuid4().hex[:8]}"
    database.execute("insert into memoria.events (id, owner_id) values (%s, %s)", (made, owner_id))
    yield made
    database.execute("delete from memoria.events where id = %s", (made,))


@pytest.fixture
def friend(event: str, database: psycopg.Connection[Any], users: dict[str, str]) -> str:
    """The email of one who may add photos to the event."""
    database.execute(
        "insert into memoria.members (event_id, user_id, role) values (%s, %s, 'contributor')",
        (event, users["friend"]),
    )
    return "friend@example.com"


@pytest.fixture(scope="session")
def crowd(database: psycopg.Connection[Any], looks: Looks) -> str:
    """A large event to read: 1,000 people, 20,000 faces."""
    make_crowd(database, looks, "crowd")
    return "crowd"


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that every camera films: a test writes JPEGs into it, one after the other."""
    return tmp_path_factory.mktemp("camera") / "film.mjpeg"


@pytest.fixture(scope="session")
def browser(film: Path) -> Iterator[Browser]:
    """Headless Chromium of this machine."""
    programs = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, programs)), None)
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"]
    flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"]
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=program, args=flags)


@dataclass
class Visit:
    """One person's browser, with what went wrong in it."""

    context: BrowserContext
    origin: str
    wrong: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)  # patterns of what a test provokes

    def open(self, address: str = "") -> Page:
        """A tab at an address below the app's start."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("console", self._hear)
        page.goto(self.origin + START + address)
        return page

    def expect(self, pattern: str) -> None:
        """What the console may say in this test."""
        self.expected.append(pattern)

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def troubles(self) -> list[str]:
        """What nobody expected."""
        return [line for line in self.wrong if not any(re.search(p, line) for p in self.expected)]


@pytest.fixture
def visit(browser: Browser, stack: Stack) -> Iterator[Callable[..., Visit]]:
    """``visit()`` -> a browser that nobody used before; in the end none has complained."""
    made: list[Visit] = []

    def begin(**options: Any) -> Visit:
        size = {"width": 1280, "height": 800}
        context = browser.new_context(**{"viewport": size, "reduced_motion": "reduce"} | options)
        context.add_init_script(_SHIFTS)
        made.append(Visit(context, f"http://127.0.0.1:{stack.ports['pages']}"))
        return made[-1]

    yield begin
    troubles = [line for one in made for line in one.troubles()]
    for one in made:
        one.context.close()
    assert troubles == []


def sign_in(visiting: Visit, email: str = HOST_EMAIL, address: str = "") -> Page:
    """A tab of a user's, at an address, after the form was filled in."""
    page = visiting.open(address)
    enter(page, email)
    return page


def enter(page: Page, email: str = HOST_EMAIL) -> None:
    """Fill in the form that is shown, and wait for what comes after it."""
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(HOST_PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Password").wait_for(state="hidden")


@pytest.fixture
def host(visit: Callable[..., Visit], users: dict[str, str]) -> Visit:
    """The host's browser."""
    return visit()


@pytest.fixture
def page(host: Visit) -> Page:
    """A tab of the host, signed in."""
    return sign_in(host)


@pytest.fixture
def guest(visit: Callable[..., Visit]) -> Visit:
    """A guest's browser, on a phone: nobody is signed in, the camera is allowed.

    The page asks whether its link is good without consent, which is refused.
    """
    made = visit(viewport={"width": 390, "height": 844}, has_touch=True, permissions=["camera"])
    made.expect("status of 403")
    return made


@pytest.fixture
def stranger(visit: Callable[..., Visit], users: dict[str, str]) -> Page:
    """A tab of a user who has nothing to do with any event here, and is told so."""
    visiting = visit()
    visiting.expect("status of 40[04]")
    return sign_in(visiting, "who@example.com")


@pytest.fixture(scope="session")
def axe() -> str:
    """The program that looks for barriers."""
    return (package(AXE) / "axe.min.js").read_text()


@pytest.fixture
def look(axe: str, request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """``look(page, "people")``: no barrier, nothing beyond the edge, nothing that jumped.

    On a phone held across lies what lay on one held upright: barriers are not looked for again.
    """
    folder = os.environ.get("SCREENSHOTS")

    def look_at(page: Page, name: str) -> None:
        assert page.evaluate("window.shifted") < STILL, f"{name}: the layout shifted"
        size = page.viewport_size
        if page.evaluate("typeof axe") == "undefined":
            page.evaluate(axe)
        for width, (wide, high) in SIZES.items():
            page.set_viewport_size({"width": wide, "height": high})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                if width != "landscape":
                    _require_no_barrier(page, f"{name} at {width}, {scheme}", scheme)
                if folder:
                    Path(folder).mkdir(parents=True, exist_ok=True)
                    page.screenshot(path=f"{folder}/{name}-{width}-{scheme}.png", full_page=True)
            beyond = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert beyond <= 0, f"{name} at {width}: {beyond} pixels beyond the edge"
            assert page.evaluate(_TOO_HIGH) == [], f"{name} at {width}: cannot be seen whole"
        page.emulate_media(color_scheme="light")
        if size:
            page.set_viewport_size(size)
        page.evaluate("window.shifted = 0")

    return look_at


def _require_no_barrier(page: Page, where: str, scheme: str) -> None:
    """All of axe's rules; only colours again in the dark."""
    rules = {} if scheme == "light" else {"runOnly": ["color-contrast"]}
    found = page.evaluate(
        "options => axe.run(document, options)", rules | {"resultTypes": ["violations"]}
    )
    told = [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
    assert told == [], f"{where}: {json.dumps(told, indent=1)}"
