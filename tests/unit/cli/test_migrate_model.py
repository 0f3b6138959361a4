"""What ``memoria migrate-model`` says before it begins."""

from argparse import Namespace

import pytest

from memoria.cli import migrate_model

PROJECT = {"SUPABASE_URL": "http://127.0.0.1:1", "SUPABASE_SERVICE_ROLE_KEY": "key"}
MEASURED_HERE = {"SIMILARITY_THRESHOLDS": "buffalo_l:0.45:0.37"}


@pytest.mark.parametrize(
    ("model", "configured", "warns"),
    [
        ("buffalo_l", {}, True),  # of two thresholds one was measured
        ("buffalo_l", MEASURED_HERE, False),
        ("yunet_sface1", {}, False),
        ("yunet_auraface1", {}, True),
    ],
)
def test_it_warns_of_thresholds_that_nobody_measured(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: str,
    configured: dict[str, str],
    warns: bool,
) -> None:
    monkeypatch.setattr(migrate_model, "environment", lambda: PROJECT | configured)
    monkeypatch.setattr(migrate_model, "migrate", lambda *_: True)
    args = Namespace(event=["gala"], events=None, model=model, stuck=1)
    assert migrate_model.run(args) == 0
    assert ("unverified" in capsys.readouterr().err) is warns
