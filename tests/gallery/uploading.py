"""Photos on their way: chosen, held on the way, and what became of them."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, Request, Route

from tests.gallery.conftest import PATIENCE_MS, Visit, sign_in

STORED = "**/object/photos/**"
RENEWED = "**/auth/v1/token*"
HANDED_OVER = "**/rpc/memoria_enqueue"
NEWS = ("**/rpc/memoria_event_status", "**/rpc/memoria_media")
LOOKED_AT = "select count(*) from memoria.media where event_id = %s and status = 'completed'"


class Held:
    """Requests to such addresses: they wait until a test lets them go or answers them."""

    def __init__(self, page: Page, *addresses: str) -> None:
        self.waiting: list[Route] = []
        self._over = False
        for address in addresses:
            page.route(address, self._take)

    def _take(self, route: Route, _: Request) -> None:
        if self._over:
            route.continue_()
        else:
            self.waiting.append(route)

    def let_go(self) -> None:
        """All, and those to come."""
        self.end()
        for route in self.waiting:
            route.continue_()

    def end(self) -> list[Route]:
        """Those to come are not held. Answers those that are."""
        self._over = True
        return self.waiting


def choose(page: Page, **files: bytes) -> None:
    given = [
        {"name": name.replace("_", "."), "mimeType": "image/jpeg", "buffer": data}
        for name, data in files.items()
    ]
    chooser = page.locator("input[type=file]:not([webkitdirectory])")
    chooser.set_input_files(given)  # type: ignore[arg-type]


def upload_page(visiting: Visit, event: str) -> Page:
    return sign_in(visiting, address=f"#/e/{event}/upload")


def until(page: Page, true: Callable[[], Any]) -> None:
    """For what no page shows."""
    for _ in range(PATIENCE_MS // 100):
        if true():
            return
        page.wait_for_timeout(100)
    raise AssertionError


def sent_as_their_session_ends(page: Page, **files: bytes) -> None:
    refuse(page, STORED, 401)
    refuse(page, RENEWED, 400)
    choose(page, **files)
    page.get_by_label("Password").wait_for()
    page.unroute_all()


def refuse(page: Page, address: str, status: int, body: str = "{}", **options: Any) -> None:
    page.route(address, lambda route: route.fulfill(status=status, body=body), **options)
