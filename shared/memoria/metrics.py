"""What one instance counts, as Prometheus text.

A scrape of an autoscaled service reaches one instance of many; on Cloud Run the log-based metrics
of ``deploy/`` count the same events over all of them.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from memoria import log

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
FACES = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 100)

GPU_QUERY = ("utilization.gpu", "memory.used")
MEBIBYTE = 2**20

REGISTRY = CollectorRegistry()

_requests = Counter(
    "memoria_requests", "Requests by service and outcome", ["service", "outcome"], registry=REGISTRY
)
_errors = Counter("memoria_errors", "Errors by code", ["code"], registry=REGISTRY)
_stages = Histogram(
    "memoria_stage_seconds", "Time spent by stage", ["stage"], buckets=SECONDS, registry=REGISTRY
)
_faces = Histogram("memoria_faces", "Faces found in a photo", buckets=FACES, registry=REGISTRY)


class GpuCollector(Collector):
    """Use of the GPUs as nvidia-smi tells it at the moment of the scrape; nothing without one."""

    def collect(self) -> Iterator[Metric]:
        """One gauge for the load, one for the memory, labelled by the GPU's index."""
        load = GaugeMetricFamily("memoria_gpu_utilization_ratio", "GPU load, 0..1", labels=["gpu"])
        used = GaugeMetricFamily("memoria_gpu_memory_bytes", "GPU memory in use", labels=["gpu"])
        for index, (percent, mebibytes) in enumerate(_gpu_readings()):
            load.add_metric([str(index)], percent / 100)
            used.add_metric([str(index)], mebibytes * MEBIBYTE)
        yield from (family for family in (load, used) if family.samples)


def _gpu_readings() -> list[tuple[float, float]]:
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    query = [command, f"--query-gpu={','.join(GPU_QUERY)}", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=5, check=True).stdout  # noqa: S603
        rows = [line.split(",") for line in told.splitlines() if line.strip()]
        return [(float(load), float(used)) for load, used in rows]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []  # a scrape without the GPU's figures is better than none


ProcessCollector(registry=REGISTRY)  # process_resident_memory_bytes, process_cpu_seconds_total
REGISTRY.register(GpuCollector())


def request(service: str, outcome: str) -> None:
    """Count one answered request: ``service`` process or cluster, ``outcome`` its status."""
    _requests.labels(service, outcome).inc()


def error(code: str) -> None:
    """Count one error by its code."""
    _errors.labels(code).inc()


def observe_stage(name: str, seconds: float) -> None:
    """Record how long one stage took, here and in the request's log lines."""
    _stages.labels(name).observe(seconds)
    log.note_stage(name, seconds)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time the block as one stage, also when it raises."""
    start = time.perf_counter()
    try:
        yield
    finally:
        observe_stage(name, time.perf_counter() - start)


def faces(count: int) -> None:
    """Record how many faces one photo had."""
    _faces.observe(count)


def render() -> bytes:
    """Everything counted so far, in Prometheus' text format."""
    return generate_latest(REGISTRY)
