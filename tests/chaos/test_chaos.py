from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.chaos.findings import find
from tests.chaos.outages import Chaos
from tests.chaos.pack import make_pack
from tests.chaos.photos import plan
from tests.chaos.report import budget, tables
from tests.chaos.run import run_in_chaos, run_quietly


@pytest.mark.slow
def test_a_small_season_through_every_fault_breaks_no_promise(tmp_path: Path) -> None:
    photos = plan(60, 3, seed=7)
    chaos = Chaos(kills=3, kill_every=12, freezes=1, cluster_kills=1, crashes=(0.4,))
    pack = make_pack(tmp_path / "tiny")
    with ThreadPoolExecutor(1) as beside:  # the two share nothing but the machine
        quietly = beside.submit(run_quietly, photos, pack, seconds=300)
        disturbed = run_in_chaos(photos, pack, chaos, seed=7, seconds=300)
    findings = find(photos, quietly.result(), disturbed)
    told = tables(disturbed, findings, budget(disturbed.injected, chaos))
    assert not [finding for finding in findings if finding.broken], told
    assert disturbed.injected["process: SIGKILL"] == 3
    assert disturbed.injected["database: crashed and recovered"] == 1
