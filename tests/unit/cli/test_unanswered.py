"""Nobody listens: whichever command meets that says at which address."""

from pathlib import Path

import pytest

from local.processes.postgres import free_port
from memoria.cli import main


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> str:
    address = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("SUPABASE_URL", address)
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_local")
    monkeypatch.setenv("CALLBACK_URL", "off")
    monkeypatch.setenv("WEBHOOK_SECRET", "unneeded")
    return address


@pytest.mark.parametrize(
    "command",
    [
        ["doctor"],
        ["status"],
        ["backfill", "table:photos"],
        ["backfill", "storage://photos", "--event", "party"],
    ],
    ids=" ".join,
)
def test_supabase_is_named(
    address: str, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert main(command) in (1, 2)
    told = capsys.readouterr()
    assert address in told.out + told.err


def test_the_search_service_is_named(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "selfie.jpg").write_bytes(b"never looked at")
    assert main(["search", "party", str(tmp_path / "selfie.jpg"), "--url", address]) == 2
    assert address in capsys.readouterr().err
