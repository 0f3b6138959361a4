import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.measures import STEADY, Row, Unsteady, alternated, cpu_of_children, quickest

ABOUT = report.machine() | {"models": "twins"}


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "benchmarks.md").write_text(f"before\n{report.START}\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "DOCS", tmp_path)
    return tmp_path


def test_a_run_of_one_section_keeps_the_other_sections_rows(docs: Path) -> None:
    report.write({"speed": [Row("fast", 1.3, limit=1.2, at_most=False)]}, ABOUT)
    report.write({"memory": [Row("small", 300, "MB", 700)]}, ABOUT)
    page = (docs / "benchmarks.md").read_text()
    assert "| fast | 1.3 × | ≥ 1.2 × | yes |" in page
    assert "| small | 300 MB | ≤ 700 MB | yes |" in page
    assert page.startswith("before\n")
    assert page.endswith("after\n")


def test_a_figure_once_measured_is_not_overwritten_by_not_measured(docs: Path) -> None:
    nothing, measured = Row("GPU: not measured", None), Row("GPU: photos a second", 180, "a second")
    for row in (nothing, measured, nothing):
        report.write({"gpu": [row]}, ABOUT)
    page = (docs / "benchmarks.md").read_text()
    assert "| GPU: photos a second | 180 a second |" in page
    assert "not measured" not in page


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("a", 1.0), ""),
        (Row("a", 1.2, limit=1.1), "no"),
        (Row("a", 1.2, limit=1.1, at_most=False), "yes"),
    ],
)
def test_the_verdict_follows_the_limit(row: Row, verdict: str) -> None:
    assert row.verdict == verdict


def test_calls_are_timed_in_turns() -> None:
    order: list[str] = []
    times = alternated([lambda: order.append("a"), lambda: order.append("b")], 3)
    assert "".join(order) == "abababab"
    assert len(times) == 2


@pytest.mark.parametrize("busy", [False, True])
def test_repeats_that_disagree_are_refused(busy: bool) -> None:
    rounds = iter([1.0] * 6 + [1.3 if busy else 1.05] * 6)
    if busy:
        with pytest.raises(Unsteady, match=r"1.000 and 1.300 s"):
            alternated([lambda: None], 12, lambda _: next(rounds), steady=STEADY)
    else:
        assert alternated([lambda: None], 12, lambda _: next(rounds), steady=STEADY) == [1.0]


@pytest.mark.parametrize("second_call_too", [True, False])
def test_of_two_calls_the_ratio_counts(second_call_too: bool) -> None:
    later = [1.3, 2.6 if second_call_too else 2.0]
    rounds = iter([1.0, 2.0] * 6 + later * 6)
    calls: list[Callable[[], object]] = [lambda: None, lambda: None]
    if second_call_too:  # everything was slower for a while: nothing wrong with the ratio
        assert alternated(calls, 12, lambda _: next(rounds), steady=STEADY) == [1.0, 2.0]
    else:
        with pytest.raises(Unsteady, match=r"1.538 and 2.000 of the first for call 2"):
            alternated(calls, 12, lambda _: next(rounds), steady=STEADY)


def test_the_slow_rounds_tell_about_the_neighbours_and_are_left_out() -> None:
    assert quickest([9, 1, 2, 8, 7, 6]) == 1.5


def test_waiting_costs_a_child_no_cpu_time() -> None:
    assert cpu_of_children(lambda: subprocess.run(["sleep", "0.3"], check=True)) < 0.2
