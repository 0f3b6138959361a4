import os
import stat
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from memoria import metrics


def sample(name: str, **labels: str) -> float:
    """One sample's value as a scrape sees it; 0 where it was never counted."""
    for family in text_string_to_metric_families(metrics.render().decode()):
        for found in family.samples:
            if found.name == name and found.labels == labels:
                return found.value
    return 0.0


def test_requests_are_counted_by_service_and_outcome() -> None:
    before = sample("memoria_requests_total", service="process", outcome="200")
    metrics.request("process", "200")
    assert sample("memoria_requests_total", service="process", outcome="200") == before + 1


def test_errors_are_counted_by_code() -> None:
    before = sample("memoria_errors_total", code="media_gone")
    metrics.error("media_gone")
    assert sample("memoria_errors_total", code="media_gone") == before + 1


def test_a_stage_is_timed_also_when_it_fails() -> None:
    before = sample("memoria_stage_seconds_count", stage="fetch")
    with pytest.raises(OSError, match="gone"), metrics.stage("fetch"):
        raise OSError("gone")
    assert sample("memoria_stage_seconds_count", stage="fetch") == before + 1


def test_faces_are_counted_per_photo() -> None:
    photos, faces = sample("memoria_faces_count"), sample("memoria_faces_sum")
    metrics.faces(0)
    metrics.faces(3)
    assert sample("memoria_faces_count") == photos + 2
    assert sample("memoria_faces_sum") == faces + 3


def test_memory_and_cpu_of_the_process_are_told() -> None:
    assert sample("process_resident_memory_bytes") > 1_000_000
    assert sample("process_cpu_seconds_total") > 0


def nvidia_smi(folder: Path, prints: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{prints}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_gpu_tells_its_load_and_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(tmp_path, "printf '37, 1024\\n5, 2\\n'", monkeypatch)
    assert sample("memoria_gpu_utilization_ratio", gpu="0") == pytest.approx(0.37)
    assert sample("memoria_gpu_memory_bytes", gpu="1") == 2 * 2**20


@pytest.mark.parametrize("prints", ["exit 9", "echo '[N/A], [N/A]'", "echo"])
def test_a_gpu_that_tells_nothing_does_not_spoil_the_scrape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prints: str
) -> None:
    nvidia_smi(tmp_path, prints, monkeypatch)
    assert b"memoria_gpu" not in metrics.render()
    assert b"process_cpu_seconds_total" in metrics.render()
