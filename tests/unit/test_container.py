import os
from pathlib import Path

import pytest

from memoria.container import cpu_quota, cpu_threads, memory_bytes


def v2(root: Path, text: str) -> Path:
    (root / "cpu.max").write_text(text)
    return root


def v1(root: Path, quota: int, period: int = 100_000, controller: str = "cpu") -> Path:
    folder = root / controller
    folder.mkdir()
    (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (folder / "cpu.cfs_period_us").write_text(f"{period}\n")
    return root


def test_cgroup_v2_tells_quota_and_period(tmp_path: Path) -> None:
    assert cpu_quota(v2(tmp_path, "150000 100000\n")) == 1.5


def test_cgroup_v1_tells_quota_and_period(tmp_path: Path) -> None:
    assert cpu_quota(v1(tmp_path, 400_000)) == 4


def test_cgroup_v1_may_join_its_controllers(tmp_path: Path) -> None:
    assert cpu_quota(v1(tmp_path, 50_000, controller="cpu,cpuacct")) == 0.5


@pytest.mark.parametrize("text", ["max 100000\n", "", "garbage", "0 100000", "100000 0"])
def test_no_limit_and_nonsense_mean_no_quota(tmp_path: Path, text: str) -> None:
    assert cpu_quota(v2(tmp_path, text)) is None


def test_v1_without_a_limit_says_minus_one(tmp_path: Path) -> None:
    assert cpu_quota(v1(tmp_path, -1)) is None


def test_a_machine_without_cgroups_has_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "absent") is None


def test_threads_are_the_quota_rounded_up_but_never_more_than_the_cores(tmp_path: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    assert cpu_threads(v2(tmp_path, "50000 100000")) == 1
    assert cpu_threads(v2(tmp_path, "110000 100000")) == min(2, cores)
    assert cpu_threads(v2(tmp_path, "6400000 100000")) == cores
    assert cpu_threads(tmp_path / "absent") == cores


def test_memory_is_what_the_cgroup_allows_or_what_there_is(tmp_path: Path) -> None:
    there = memory_bytes(tmp_path)
    assert there == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for text, told in (("1048576\n", 1 << 20), ("max\n", there), (f"{1 << 62}\n", there)):
        (tmp_path / "memory.max").write_text(text)
        assert memory_bytes(tmp_path) == told
    (tmp_path / "memory.max").unlink()
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("2097152\n")
    assert memory_bytes(tmp_path) == 2 << 20
