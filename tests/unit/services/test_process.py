"""What the service of photos builds, and when."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from memoria.config import Settings
from memoria.services import process
from memoria.services.process import process_service

ENOUGH = {"SUPABASE_URL": "http://127.0.0.1:1", "SUPABASE_SERVICE_ROLE_KEY": "key"}
ENOUGH |= {"CALLBACK_URL": "off", "WEBHOOK_SECRET": "s"}


@pytest.mark.parametrize(
    ("search", "built"),
    [
        ("off", {"_process_pipeline"}),
        ("on", {"_process_pipeline", "_search_pipeline"}),
        ("only", {"_search_pipeline"}),
    ],
)
def test_a_service_that_is_ready_builds_what_it_serves(
    monkeypatch: pytest.MonkeyPatch, search: str, built: set[str]
) -> None:
    found: set[str] = set()
    all_built = threading.Event()

    def build(name: str) -> None:
        found.add(name)
        if found >= built:
            all_built.set()

    monkeypatch.setattr(process, "_start_decoders", lambda *_: None)
    for name in ("_process_pipeline", "_search_pipeline"):
        monkeypatch.setattr(process, name, lambda *_, name=name: build(name))
    settings = Settings.from_env(ENOUGH | {"SEARCH": search})
    service = process_service(settings, lambda _: SimpleNamespace(model="mine"))  # type: ignore[arg-type,return-value]
    assert service.ready()["model"] == "mine"
    assert all_built.wait(60)
    assert found == built


def test_health_names_the_pack_before_the_first_photo_as_after_it(tmp_path: Path) -> None:
    (tmp_path / "buffalo_l").mkdir()
    (tmp_path / "current").symlink_to("buffalo_l")
    settings = Settings.from_env(ENOUGH | {"MODEL_DIR": str(tmp_path / "current")})
    assert process_service(settings).health()["model"] == "buffalo_l"
