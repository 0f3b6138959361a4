"""The pages' addresses."""

import pytest

from local.processes.pages import create_app


@pytest.mark.parametrize(
    ("address", "status", "place"),
    [("/gallery", 308, "/gallery/"), ("/gallery/pages", 308, "/gallery/pages/"),
     ("/nothing", 404, None), ("/..", 404, None), ("/%2Fetc", 404, None), ("/.git", 404, None)],
)  # fmt: skip
def test_a_folder_without_its_slash_is_led_on_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, address: str, status: int, place: str | None
) -> None:
    monkeypatch.setenv("LOCAL_PAGES_CONFIG", '{"supabaseUrl": "http://127.0.0.1:1"}')
    answer = create_app().test_client().get(address)
    assert (answer.status_code, answer.headers.get("location")) == (status, place)
