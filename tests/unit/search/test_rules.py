"""The rule that a model's thresholds stand for."""

import numpy as np
import pytest

from memoria.clustering.thresholds import thresholds_for
from memoria.config import Settings
from memoria.search.calibration import calibrated
from memoria.search.rules import measured_rule, rule_for

ENOUGH = {"SUPABASE_URL": "http://127.0.0.1:1", "SUPABASE_SERVICE_ROLE_KEY": "key"}
ENOUGH |= {"CALLBACK_URL": "off", "WEBHOOK_SECRET": "s"}


@pytest.mark.parametrize("told", ["0.4:0.4", "0.4:0.3999", "0.9999:0.9999", "0.0001:0.0001"])
def test_thresholds_without_a_band_between_them_still_make_a_rule(told: str) -> None:
    """Few labelled photos put both into one place, and `memoria calibrate` prints them so."""
    settings = Settings.from_env(ENOUGH | {"SIMILARITY_THRESHOLDS": f"buffalo_l:{told}"})
    rule = rule_for("buffalo_l", settings)
    assert 0 < rule.shared < 1
    assert rule.dimensions > 0
    assert 6.5 < rule.demand < 100
    assert thresholds_for("buffalo_l", settings.similarity_thresholds).silent < rule.belongs


def test_copies_of_one_photo_calibrate_nothing() -> None:
    rule = measured_rule("mine", thresholds_for("mine"))
    vectors = np.repeat(np.eye(1, 512, dtype=np.float32), 40, axis=0)
    with pytest.raises(ValueError, match="copies"):
        calibrated(rule, vectors, np.repeat(np.arange(20), 2), "a test")
