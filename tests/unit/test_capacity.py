"""Large events are refused by arithmetic, before anything is loaded."""

import threading
from pathlib import Path

import pytest

from memoria.capacity import FACE_BYTES, GIB, IDLE_BYTES, PAIR_SECONDS, Capacity, Instance
from memoria.errors import Busy, NeedsMemory


def test_what_fits_is_let_in_and_one_face_more_is_told_what_mends_it() -> None:
    capacity = Capacity(Instance(2 * GIB, 2))
    most = (2 * GIB - IDLE_BYTES) // FACE_BYTES
    assert most > 100_000
    with capacity.hold(most):
        pass
    with pytest.raises(NeedsMemory) as told, capacity.hold(most + 1):
        pass
    assert f"{most + 1:,} faces" in told.value.message
    assert "2.0 GiB, this instance has 2.0" in told.value.message
    assert "./deploy.sh --cluster-memory 32Gi --cluster-cpu 8" in told.value.message


def measured() -> dict[int, dict[str, float]]:
    """Seconds of each stage and ``peak memory`` in bytes of whole first runs, by faces."""
    page = (Path(__file__).parents[2] / "docs" / "clustering.md").read_text()
    table = page.partition("<!-- run stages -->")[2].partition("<!-- end")[0].strip().splitlines()
    head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table)
    runs = {}
    for row in rows:
        cells = dict(zip(head, row, strict=True))
        if cells["run"] == "first" and cells["group"] != "given":
            took = {name: float(cells[name].removesuffix(" s")) for name in ("group", "match")}
            peak = float(cells["peak memory"].removesuffix(" MiB").replace(",", "")) * (1 << 20)
            runs[int(cells["faces"].replace(",", ""))] = took | {"peak memory": peak}
    return runs


def test_the_arithmetic_holds_what_whole_runs_took() -> None:
    runs = measured()
    (fewer, before), (most, after) = sorted(runs.items())[-2:]
    for faces, run in runs.items():
        if faces >= 20_000:
            assert run["peak memory"] <= IDLE_BYTES + faces * FACE_BYTES
    a_face = (after["peak memory"] - before["peak memory"]) / (most - fewer)
    limit = Instance(2 * GIB, 2).faces_in_memory
    assert after["peak memory"] + (limit - most) * a_face < 0.95 * 2 * GIB
    cores, a_core = 2, 2  # two cores of ours, each as fast as two CPUs of Cloud Run
    assert (after["group"] + after["match"]) * cores * a_core / most**2 < PAIR_SECONDS


def test_the_mend_that_is_told_mends_it() -> None:
    with Capacity(Instance(32 * GIB, 8)).hold(700_000):
        pass


def test_a_run_of_more_than_an_hour_is_refused() -> None:
    with (
        pytest.raises(NeedsMemory, match="over an hour on 2 CPUs"),
        Capacity(Instance(64 * GIB, 2)).hold(900_000),
    ):
        pass


def test_a_limit_that_was_set_is_told_by_its_name() -> None:
    with (
        pytest.raises(NeedsMemory, match="101 faces, CLUSTER_MAX_FACES is 100"),
        Capacity(Instance(2 * GIB, 2), 100).hold(101),
    ):
        pass


def test_two_that_do_not_fit_together_take_turns() -> None:
    capacity, began = Capacity(Instance(2 * GIB, 2), 100), threading.Event()

    def second() -> None:
        with capacity.hold(60):
            began.set()

    with capacity.hold(60):
        with capacity.hold(40):
            pass
        waiting = threading.Thread(target=second, daemon=True)
        waiting.start()
        assert not began.wait(0.1)
    assert began.wait(60)
    waiting.join(60)


def test_waiting_for_others_ends_and_costs_the_job_no_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("memoria.capacity.PATIENCE_SECONDS", 0.05)
    capacity = Capacity(Instance(2 * GIB, 2), 100)
    with capacity.hold(60), pytest.raises(Busy) as told, capacity.hold(60):
        pass
    assert (told.value.code, told.value.policy) == ("instance_busy", "outside")
    with capacity.hold(100):
        pass


def test_an_event_that_was_refused_holds_nothing() -> None:
    capacity = Capacity(Instance(2 * GIB, 2), 10)
    for _ in range(3):
        with pytest.raises(NeedsMemory), capacity.hold(11):
            pass
    with capacity.hold(10):
        pass
