"""How much CPU and memory this container may use, which is not what its host has."""

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def cpu_quota(root: Path = _CGROUPS) -> float | None:
    """CPUs that the container's cgroup allows, v2 or v1; None where nothing limits it.

    A container sees its own cgroup at ``root``. Cloud Run, Docker and Kubernetes set
    ``cpu.max`` (v2) or ``cpu.cfs_quota_us`` (v1) there.
    """
    return _v2(root) or _v1(root)


def cpu_threads(root: Path = _CGROUPS) -> int:
    """Threads worth starting: the CPU quota rounded up, never more than the cores we may run on."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = cpu_quota(root)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def memory_bytes(root: Path = _CGROUPS) -> int:
    """Bytes that the container may take: its cgroup's limit, v2 or v1, or all that there is."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    files = (root / "memory.max", root / "memory" / "memory.limit_in_bytes")
    told = [int(text) for file in files if (text := _read(file)).isdecimal()]
    return min([there, *told])  # v1 tells an enormous number where nothing limits it


def _v2(root: Path) -> float | None:
    quota, _, period = _read(root / "cpu.max").partition(" ")
    return _ratio(quota, period or "100000")


def _v1(root: Path) -> float | None:
    for folder in (root / "cpu", root / "cpu,cpuacct", root):
        quota = _read(folder / "cpu.cfs_quota_us")
        if quota:
            return _ratio(quota, _read(folder / "cpu.cfs_period_us"))
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _ratio(quota: str, period: str) -> float | None:
    """``max``, -1, 0 and anything that is no number mean: no limit."""
    try:
        cpus = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return cpus if cpus > 0 else None
